//! Where footplate keeps its files: the XDG base directories.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::model::{Failure, FailureKind};

/// footplate's four folders. Made on demand, readable by the user alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirs {
    /// `config.toml`, `keymap.toml`, `themes/`.
    pub config: PathBuf,
    /// `journal.sqlite`, `footplate.log`.
    pub state: PathBuf,
    /// Last good lists: may be deleted at any time.
    pub cache: PathBuf,
    /// `local/`: the local region.
    pub data: PathBuf,
}

impl Dirs {
    /// The folders by the environment: `XDG_CONFIG_HOME`, `XDG_STATE_HOME`, `XDG_CACHE_HOME`, `XDG_DATA_HOME`, and `HOME`
    /// for those that are not set.
    ///
    /// # Errors
    /// When neither the variable nor `HOME` is an absolute path.
    pub fn from_env() -> Result<Self, Failure> {
        Self::resolve(|name| std::env::var_os(name))
    }

    /// As [`Dirs::from_env`], with the environment as a function.
    ///
    /// # Errors
    /// As [`Dirs::from_env`].
    pub fn resolve(var: impl Fn(&str) -> Option<OsString>) -> Result<Self, Failure> {
        // The XDG specification: a relative path in one of these variables is invalid and to be ignored.
        let absolute = |name: &str| var(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let folder = |name: &str, fallback: &str| {
            absolute(name)
                .or_else(|| absolute("HOME").map(|home| home.join(fallback)))
                .map(|base| base.join("footplate"))
                .ok_or_else(|| {
                    Failure::new(
                        FailureKind::Machine,
                        "no home folder: HOME is not set to an absolute path",
                        format!("Set HOME, or {name}."),
                    )
                })
        };
        Ok(Self {
            config: folder("XDG_CONFIG_HOME", ".config")?,
            state: folder("XDG_STATE_HOME", ".local/state")?,
            cache: folder("XDG_CACHE_HOME", ".cache")?,
            data: folder("XDG_DATA_HOME", ".local/share")?,
        })
    }

    /// The folder of the local region.
    #[must_use]
    pub fn local(&self) -> PathBuf {
        self.data.join("local")
    }

    /// The journal's file.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.state.join("journal.sqlite")
    }

    /// The host keys of machines that were connected to.
    #[must_use]
    pub fn host_keys(&self) -> PathBuf {
        self.state.join("host-keys.json")
    }

    /// The program's own log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.state.join("footplate.log")
    }
}

/// Makes a folder and its missing parents, each readable by the user alone (0700). A folder that exists is left as it is,
/// unless others could write to it: then it is refused, for whoever can write there could plant a journal or a key.
///
/// # Errors
/// When it cannot be made, is not a folder, or others may write to it.
pub fn private_folder(path: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let hint = format!("Make {} a folder that you can write to.", path.display());
        Failure::new(FailureKind::Machine, format!("cannot use the folder {}: {error}", path.display()), hint)
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let about = fs::metadata(path).map_err(failed)?;
    if about.uid() == nix::unistd::geteuid().as_raw() && about.permissions().mode() & 0o022 != 0 {
        return Err(Failure::new(
            FailureKind::Refused,
            format!("other users may write to {}", path.display()),
            format!("chmod go-w {}", path.display()),
        ));
    }
    Ok(())
}

/// Options for a file that only the user may read (0600) and that is not reached through a planted link.
#[must_use]
pub fn private_file() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.mode(0o600).custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits());
    options
}

/// Replaces a file by new content in one step (a reader sees the old or the new file, never a part), 0600.
///
/// # Errors
/// When the new file cannot be written or moved into place; the old one is then still there.
pub fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "this path names no file"))?;
    let mut fresh = name.to_owned();
    fresh.push(format!(".{}.new", std::process::id()));
    let fresh = path.with_file_name(fresh);
    // Left over from a crash of an earlier process with our number.
    let _ = fs::remove_file(&fresh);
    let written = private_file().write(true).create_new(true).open(&fresh).and_then(|mut file| {
        io::Write::write_all(&mut file, content)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(vars: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        |name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
    }

    #[test]
    fn xdg_wins_over_home_and_relative_paths_do_not_count() {
        let dirs = Dirs::resolve(env(&[("HOME", "/home/u"), ("XDG_STATE_HOME", "/st"), ("XDG_DATA_HOME", "rel")])).unwrap();
        assert_eq!(dirs.config, Path::new("/home/u/.config/footplate"));
        assert_eq!(dirs.journal(), Path::new("/st/footplate/journal.sqlite"));
        assert_eq!(dirs.local(), Path::new("/home/u/.local/share/footplate/local"));
    }

    #[test]
    fn without_home_it_says_which_variable_to_set() {
        let failure = Dirs::resolve(env(&[])).unwrap_err();
        assert!(failure.what.as_str().contains("HOME"), "{failure}");
    }

    #[test]
    fn folders_are_private_and_writable_ones_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        private_folder(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(private_folder(&folder).unwrap_err().kind, FailureKind::Refused);
    }

    #[test]
    fn replacing_a_file_keeps_it_private_and_leaves_nothing_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("env");
        fs::write(&path, "old").unwrap();
        replace_file(&path, b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
