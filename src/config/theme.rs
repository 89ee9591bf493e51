//! Colours by role. A theme is a TOML file: a palette of names, and for each role a style that uses them.
//!
//! ```toml
//! [palette]
//! green = "#8fbf7f"        # "#rrggbb", or 0 to 255, or a name such as "cyan"
//! [roles]
//! active = { fg = "green", bold = true }
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::{Failure, FailureKind};

/// A colour as terminals know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Indexed(u8),
    Rgb(u8, u8, u8),
}

/// How a role looks; absent colours are the terminal's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub fg: Option<Colour>,
    pub bg: Option<Colour>,
    pub bold: bool,
    pub dim: bool,
    pub reverse: bool,
    pub underline: bool,
}

macro_rules! roles {
    ($($(#[$doc:meta])* $role:ident = $name:literal),+ $(,)?) => {
        /// What a piece of the screen is for. The view asks for roles, never for colours.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Role { $($(#[$doc])* $role),+ }

        impl Role {
            pub const ALL: &'static [Self] = &[$(Self::$role),+];

            /// The name in a theme file.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$role => $name),+ }
            }
        }
    };
}

roles! {
    /// Plain text.
    Text = "text",
    /// What matters less: units, labels, old things.
    Quiet = "quiet",
    /// Lines and frames.
    Line = "line",
    /// The one accent: where the focus is, keys in the footer.
    Accent = "accent",
    /// The selected row.
    Selected = "selected",
    /// A marked row's sign.
    Marked = "marked",
    /// Heads of tables, titles.
    Head = "head",
    Waiting = "waiting",
    Active = "active",
    Leaving = "leaving",
    Done = "done",
    Failed = "failed",
    Stopped = "stopped",
    /// Something to know: stale, throttled, unwise.
    Warning = "warning",
    Error = "error",
    /// Money.
    Money = "money",
    /// The local region's sign in the top bar.
    Local = "local",
    /// Real AWS's sign in the top bar.
    Real = "real",
    /// A match of a search.
    Match = "match",
    Host0 = "host0",
    Host1 = "host1",
    Host2 = "host2",
    Host3 = "host3",
    Host4 = "host4",
    Curve = "curve",
}

/// One theme, all roles filled in.
#[derive(Clone, Debug)]
pub struct Theme {
    pub name: String,
    looks: Vec<Look>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    palette: BTreeMap<String, toml::Value>,
    roles: BTreeMap<String, Style>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Style {
    fg: Option<toml::Value>,
    bg: Option<toml::Value>,
    #[serde(default)]
    bold: bool,
    #[serde(default)]
    dim: bool,
    #[serde(default)]
    reverse: bool,
    #[serde(default)]
    underline: bool,
}

/// Themes that come with the program: name and text.
pub const BUILT_IN: &[(&str, &str)] =
    &[("night", include_str!("../../themes/night.toml")), ("sixteen", include_str!("../../themes/sixteen.toml"))];

impl Theme {
    /// One of the built-in themes.
    ///
    /// # Errors
    /// Lists the names there are.
    pub fn built_in(name: &str) -> Result<Self, Failure> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            Self::parse(name, text)
        } else {
            let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            Err(Failure::new(
                FailureKind::Invalid,
                format!("there is no theme `{name}`"),
                format!("built in: {}; your own go to themes/NAME.toml in the configuration folder", names.join(", ")),
            ))
        }
    }

    /// Reads a theme file.
    ///
    /// # Errors
    /// Names the role or colour that is wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, Failure> {
        let bad =
            |what: String| Failure::new(FailureKind::Invalid, format!("theme {name}: {what}"), "compare with a built-in theme");
        let file: File = toml::from_str(text).map_err(|error| bad(error.to_string()))?;
        let colour = |value: &Option<toml::Value>| -> Result<Option<Colour>, Failure> {
            let Some(value) = value else { return Ok(None) };
            let value = value.as_str().and_then(|name| file.palette.get(name)).unwrap_or(value);
            read_colour(value).map(Some).ok_or_else(|| bad(format!("`{value}` is neither in the palette nor a colour")))
        };
        let mut looks = vec![Look::default(); Role::ALL.len()];
        for (role, style) in &file.roles {
            let Some(role) = Role::ALL.iter().find(|known| known.name() == role) else {
                return Err(bad(format!("`{role}` is not a role")));
            };
            looks[*role as usize] = Look {
                fg: colour(&style.fg)?,
                bg: colour(&style.bg)?,
                bold: style.bold,
                dim: style.dim,
                reverse: style.reverse,
                underline: style.underline,
            };
        }
        Ok(Self { name: name.to_owned(), looks })
    }

    /// The same without any colour, for `NO_COLOR`: weight and reversal stay.
    #[must_use]
    pub fn without_colour(mut self) -> Self {
        for look in &mut self.looks {
            look.reverse |= look.bg.is_some();
            look.fg = None;
            look.bg = None;
        }
        self
    }

    #[must_use]
    pub fn look(&self, role: Role) -> Look {
        self.looks[role as usize]
    }
}

fn read_colour(value: &toml::Value) -> Option<Colour> {
    const NAMES: [&str; 16] = [
        "black",
        "red",
        "green",
        "yellow",
        "blue",
        "magenta",
        "cyan",
        "white",
        "bright-black",
        "bright-red",
        "bright-green",
        "bright-yellow",
        "bright-blue",
        "bright-magenta",
        "bright-cyan",
        "bright-white",
    ];
    if let Some(index) = value.as_integer() {
        return u8::try_from(index).ok().map(Colour::Indexed);
    }
    let text = value.as_str()?;
    if let Some(hex) = text.strip_prefix('#') {
        let number = u32::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 6)?;
        let [_, r, g, b] = number.to_be_bytes();
        return Some(Colour::Rgb(r, g, b));
    }
    NAMES.iter().position(|name| *name == text).and_then(|index| u8::try_from(index).ok()).map(Colour::Indexed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_themes_name_every_role() {
        for (name, text) in BUILT_IN {
            Theme::parse(name, text).expect(name);
            for role in Role::ALL {
                assert!(text.contains(&format!("\n{} ", role.name())), "{name} lacks {}", role.name());
            }
        }
    }

    #[test]
    fn sixteen_uses_nothing_but_the_sixteen() {
        let theme = Theme::built_in("sixteen").expect("built in");
        for look in &theme.looks {
            for colour in [look.fg, look.bg].into_iter().flatten() {
                assert!(matches!(colour, Colour::Indexed(0..=15)), "{colour:?}");
            }
        }
    }

    #[test]
    fn a_wrong_colour_is_named() {
        let error = Theme::parse("mine", "[roles]\ntext = { fg = 'greenish' }").expect_err("no such colour");
        assert!(error.what.as_str().contains("greenish"));
    }
}
