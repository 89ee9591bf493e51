//! The Python environments of an instance: a stand-in for conda, or for the virtual environment of newer images.
//!
//! Real conda cannot be had from here (it is not on the package index), and what a training run needs of it is small:
//! `conda env list`, `source activate pytorch`, and an interpreter that has the packages. So an environment is a Python
//! virtual environment in conda's layout, made of the interpreter that the project chose, whose packages it sees: a
//! machine's real `PyTorch` is used. What cannot be had is the absolute path `/opt`: it is the user's machine's own.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::HostEnvironment;

/// A folder of environments takes a tenth of a second; a machine under load some more.
const HOW_LONG: Duration = Duration::from_mins(1);
/// Makes the environments that are its arguments.
const MAKER: &str = include_str!("environment/make.py");
/// conda's commands, by their places below its root.
const CONDA: [(&str, &str); 3] = [
    ("bin/activate", include_str!("environment/activate.sh")),
    ("bin/deactivate", include_str!("environment/deactivate.sh")),
    ("bin/conda", include_str!("environment/conda.sh")),
];

/// Where the environments of an instance are.
#[derive(Clone, Debug)]
pub struct Environment {
    kind: HostEnvironment,
    /// conda's root, or the one virtual environment.
    root: PathBuf,
}

impl Environment {
    /// The environments below an instance's folder; nothing is made yet.
    #[must_use]
    pub fn new(kind: HostEnvironment, folder: &Path) -> Self {
        let root = match kind {
            HostEnvironment::VenvPytorch => "opt/pytorch",
            HostEnvironment::CondaPytorch | HostEnvironment::Bare => "opt/conda",
        };
        Self { kind, root: folder.join(root) }
    }

    /// Makes those that are not there, of this interpreter.
    ///
    /// # Errors
    /// When there is no such interpreter, it cannot make virtual environments, or the disk refuses. An instance without
    /// environments still has a shell.
    pub async fn build(&self, python: &Path) -> io::Result<()> {
        let wanted: Vec<PathBuf> = match self.kind {
            HostEnvironment::Bare => return Ok(()),
            HostEnvironment::VenvPytorch => vec![self.root.clone()],
            HostEnvironment::CondaPytorch => vec![self.root.clone(), self.root.join("envs/pytorch")],
        };
        if !wanted.iter().all(|path| path.join("bin/python").exists()) {
            self.make(python, &wanted).await?;
        }
        if self.kind == HostEnvironment::CondaPytorch {
            self.dress(&wanted)?;
        }
        Ok(())
    }

    /// The interpreter of the environment `pytorch`, where there is one.
    #[must_use]
    pub fn interpreter(&self) -> Option<PathBuf> {
        match self.kind {
            HostEnvironment::Bare => None,
            HostEnvironment::VenvPytorch => Some(self.root.join("bin/python")),
            HostEnvironment::CondaPytorch => Some(self.root.join("envs/pytorch/bin/python")),
        }
    }

    /// What comes on the PATH: conda's root. A virtual environment is entered by its own script, as on the image.
    #[must_use]
    pub fn on_path(&self) -> Option<PathBuf> {
        (self.kind == HostEnvironment::CondaPytorch).then(|| self.root.join("bin"))
    }

    /// What the message of the day says of them.
    #[must_use]
    pub fn motd(&self) -> String {
        match self.kind {
            HostEnvironment::Bare => " * There is no Python environment: this machine's own python3 is used.\n".to_owned(),
            HostEnvironment::CondaPytorch => " * Environments are a stand-in, not conda: Python virtual environments in its\n   \
                 layout. They are listed by: conda env list; entered by: source activate pytorch\n"
                .to_owned(),
            HostEnvironment::VenvPytorch => format!(
                " * The environment of /opt/pytorch is a stand-in, a virtual environment elsewhere:\n   \
                 source {}/bin/activate\n",
                self.root.display()
            ),
        }
    }

    async fn make(&self, python: &Path, wanted: &[PathBuf]) -> io::Result<()> {
        if let Some(parent) = self.root.parent() {
            fs::create_dir_all(parent)?;
        }
        // Not the guest's environment: a version manager's python is a script that needs its user's HOME.
        let kept = ["PATH", "HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let making = Command::new(python)
            .args(["-I", "-c", MAKER])
            .args(wanted)
            .env_clear()
            .envs(kept)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output();
        let late = || io::Error::other(format!("{} did not end within {} s", python.display(), HOW_LONG.as_secs()));
        let made = tokio::time::timeout(HOW_LONG, making).await.map_err(|_| late())?;
        let made = made.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", python.display())))?;
        if made.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&made.stderr);
        Err(io::Error::other(said.lines().last().unwrap_or("no reason was given").to_owned()))
    }

    /// Makes conda of the environments. Each one's own `activate` goes, else it would stand before conda's on the PATH.
    fn dress(&self, environments: &[PathBuf]) -> io::Result<()> {
        for environment in environments {
            for name in ["activate", "activate.csh", "activate.fish", "Activate.ps1"] {
                fs::remove_file(environment.join("bin").join(name)).or_else(|error| match error.kind() {
                    io::ErrorKind::NotFound => Ok(()),
                    _ => Err(error),
                })?;
            }
        }
        let root = self.root.display().to_string().replace('\'', "'\\''");
        for (place, text) in CONDA {
            let path = self.root.join(place);
            fs::write(&path, text.replace("@CONDA@", &format!("'{root}'")))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    }
}
