//! `footplate` without a command: the cockpit.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::globals::Globals;
use super::session::{Purpose, Session};
use crate::app::Setup;
use crate::aws::Mode;
use crate::config::keymap::Keymap;
use crate::config::theme::{BUILT_IN, Theme};
use crate::config::{Dirs, Settings};
use crate::model::{Failure, Safe};
use crate::resource;
use crate::runtime::{self, Cockpit};

/// Flags of the cockpit alone.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Theme of the cockpit
    #[arg(long, value_name = "NAME")]
    pub theme: Option<String>,
    /// Record what happens in the cockpit to a new file
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    pub record: Option<PathBuf>,
    /// Show a recorded file in the cockpit; nothing is asked of AWS
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,
}

/// Opens the cockpit.
///
/// # Errors
/// When a settings, keymap or theme file has mistakes, the local region or the journal cannot be used, or there is no
/// terminal.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let (dirs, settings) = (globals.dirs()?, globals.settings()?);
    let keymap = Keymap::load(&std::fs::read_to_string(dirs.config.join("keymap.toml")).unwrap_or_default())?;
    let theme = theme(&dirs, args.theme.as_deref().or(settings.theme.as_deref()))?;
    let read_only = globals.read_only || settings.read_only;
    let mut setup = Setup {
        specs: resource::ALL.iter().map(|resource| resource.spec()).collect(),
        keymap,
        zone: jiff::tz::TimeZone::system(),
        local: globals.mode() == Mode::Local,
        owns_region: false,
        region: Safe::default(),
        read_only,
        poll_factor: poll_factor(globals, &settings),
        ascii: settings.ascii || !unicode(),
        clipboard: settings.clipboard,
    };
    if let Some(file) = &args.replay {
        return runtime::record::replay(file, setup, &theme).await.map(ended);
    }
    // A project with mistakes does not keep the cockpit closed: its forms say what is wrong.
    let recipe = globals.recipe().ok();
    let session = Session::open(globals, if read_only { Purpose::Look } else { Purpose::Change }, recipe.as_ref()).await?;
    setup.owns_region = session.holds_region();
    setup.region = Safe::line(session.aws.region());
    let place = if setup.local {
        "local".to_owned()
    } else {
        format!("{}-{}", globals.profile.as_deref().unwrap_or("default"), session.aws.region())
    };
    let start = Cockpit {
        aws: std::sync::Arc::clone(&session.aws),
        setup,
        theme,
        project: globals.project_folder()?,
        cache: dirs.cache.join(place.replace(['/', '.'], "_")),
        record: args.record.clone(),
    };
    let done = runtime::cockpit(start).await;
    // The user has been asked: what still runs in this process' region ends with it.
    session.abandon().await;
    done.map(ended)
}

/// A shell or a supervisor sees the signal that ended the cockpit, not a success.
fn ended(signal: Option<i32>) -> ExitCode {
    signal.map_or(ExitCode::SUCCESS, |signal| runtime::end_by(signal))
}

/// The local region may be asked often; AWS counts every call.
fn poll_factor(globals: &Globals, settings: &Settings) -> f64 {
    settings.poll * if globals.mode() == Mode::Local { 0.1 } else { 1.0 }
}

/// The theme asked for: the user's own of that name, else a built-in one. Without a wish, what the terminal can show.
fn theme(dirs: &Dirs, name: Option<&str>) -> Result<Theme, Failure> {
    let name = name.unwrap_or(if many_colours() { BUILT_IN[0].0 } else { BUILT_IN[1].0 });
    let own = dirs.config.join("themes").join(Path::new(name).with_extension("toml"));
    let theme = match std::fs::read_to_string(&own) {
        Ok(text) if !name.contains(['/', '\\']) => Theme::parse(name, &text)?,
        _ => Theme::built_in(name)?,
    };
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Ok(if plain { theme.without_colour() } else { theme })
}

/// Whether the terminal says that it shows more than 16 colours.
fn many_colours() -> bool {
    let var = |name| std::env::var(name).unwrap_or_default();
    let term = var("TERM");
    !var("COLORTERM").is_empty()
        || term.contains("256color")
        || term.contains("kitty")
        || term.contains("ghostty")
        || term.contains("alacritty")
}

/// Whether the locale is one of UTF-8, so that braille and box drawing can be shown.
fn unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_default();
    let term = std::env::var("TERM").unwrap_or_default();
    // Containers often have no locale at all on terminals that are fine; the Linux console and dumb terminals are not.
    (locale.is_empty() || locale.to_ascii_lowercase().contains("utf")) && term != "linux" && term != "dumb"
}
