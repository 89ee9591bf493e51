//! The user's settings: `config.toml` in the config folder. Every key is optional:
//!
//! ```toml
//! theme = "night"         # a theme of footplate or of the folder themes/
//! read_only = true        # refuse everything that changes something
//! profile = "work"        # AWS profile, unless --profile or AWS_PROFILE says otherwise
//! region = "eu-west-1"    # AWS region, unless --region or AWS_REGION says otherwise
//! ascii = true            # no box drawing, no braille, no symbols
//! poll = 2.0              # factor on the time between looks: 2.0 asks AWS half as often
//!
//! [shell]
//! clipboard = true        # programs in terminals on machines may set your clipboard (OSC 52); it is never read
//! ```

use std::path::Path;

use super::sheet::{self, Sheet};
use crate::model::Failure;

/// What `config.toml` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub theme: Option<String>,
    pub read_only: bool,
    pub profile: Option<String>,
    pub region: Option<String>,
    pub ascii: bool,
    /// Factor on every poll period, 0.5 to 20.
    pub poll: f64,
    /// Programs in terminals on machines may set the user's clipboard.
    pub clipboard: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { theme: None, read_only: false, profile: None, region: None, ascii: false, poll: 1.0, clipboard: false }
    }
}

impl Settings {
    /// Reads `config.toml` in the config folder; without the file, all is as by default.
    ///
    /// # Errors
    /// When the file cannot be read or has mistakes; the failure lists all of them with their lines.
    pub fn load(config: &Path) -> Result<Self, Failure> {
        let path = config.join("config.toml");
        match sheet::read(&path)? {
            Some(text) => parse(&text, &path),
            None => Ok(Self::default()),
        }
    }
}

fn parse(text: &str, path: &Path) -> Result<Settings, Failure> {
    let sheet = Sheet::new(text);
    let mut settings = Settings::default();
    if let Some(table) = sheet.parse() {
        let top = sheet.top(&table);
        settings = Settings {
            theme: top.text("theme"),
            read_only: top.flag("read_only").unwrap_or(false),
            profile: top.text("profile"),
            region: top.text("region"),
            ascii: top.flag("ascii").unwrap_or(false),
            poll: top.number("poll", 0.5..=20.0).unwrap_or(1.0),
            clipboard: false,
        };
        let shell = top.section("shell");
        settings.clipboard = shell.flag("clipboard").unwrap_or(false);
        shell.close();
        top.close();
    }
    sheet.finish(path)?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_all_defaults() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Settings::load(folder.path()).unwrap(), Settings::default());
    }

    #[test]
    fn a_file_is_obeyed_or_refused_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.toml"), "read_only = true\npoll = 2\n").unwrap();
        assert_eq!(Settings::load(folder.path()).unwrap(), Settings { read_only: true, poll: 2.0, ..Settings::default() });
        std::fs::write(folder.path().join("config.toml"), "read_only = true\npol = 2\n").unwrap();
        let failure = Settings::load(folder.path()).unwrap_err();
        assert!(failure.what.as_str().contains("did you mean `poll`?"), "{failure}");
    }
}
