//! Flags that every command takes.

use std::path::PathBuf;

use clap::Args;

use crate::aws::Mode;
use crate::config::{Dirs, Settings, project};
use crate::model::{Failure, FailureKind, Recipe};

/// Flags that every command takes.
#[derive(Args, Clone, Debug)]
pub struct Globals {
    /// Work on the local region: no account, no cost, real training on this machine
    #[arg(long, global = true)]
    pub local: bool,
    /// AWS profile
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// AWS region
    #[arg(long, global = true, value_name = "REGION")]
    pub region: Option<String>,
    /// Refuse everything that would change something
    #[arg(long, global = true)]
    pub read_only: bool,
    /// Accept an endpoint on this machine, such as another emulator's in `AWS_ENDPOINT_URL`, also without encryption
    #[arg(long, global = true)]
    pub allow_loopback: bool,
    /// Folder with footplate.toml; by default the current folder or the nearest above it
    #[arg(long, global = true, value_name = "DIR")]
    pub project: Option<PathBuf>,
}

impl Globals {
    /// What clap cannot check, because the flags may stand before and after the command.
    ///
    /// # Errors
    /// A sentence for the usage message.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.local && (self.profile.is_some() || self.region.is_some()) {
            return Err("--local is a region and an account of its own: leave out --profile and --region");
        }
        if self.local && self.allow_loopback {
            return Err(
                "--local never leaves this machine: leave out --allow-loopback, or leave out --local to use AWS_ENDPOINT_URL",
            );
        }
        Ok(())
    }

    /// These flags as words, as far as another command needs them to be about the same things.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let flag = |name: &str, on: bool| on.then(|| name.to_owned());
        let project = self.project.as_ref().map(|folder| folder.display().to_string());
        let named = [("--profile", &self.profile), ("--region", &self.region), ("--project", &project)];
        let named = named.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value.clone()?])).flatten();
        [flag("--local", self.local), flag("--allow-loopback", self.allow_loopback)].into_iter().flatten().chain(named).collect()
    }

    /// What the commands talk to.
    #[must_use]
    pub fn mode(&self) -> Mode {
        if self.local { Mode::Local } else { Mode::Aws }
    }

    /// footplate's folders.
    ///
    /// # Errors
    /// When the home folder is not known.
    #[expect(clippy::unused_self, reason = "asked of the flags, as the settings and the project are")]
    pub fn dirs(&self) -> Result<Dirs, Failure> {
        Dirs::from_env()
    }

    /// The user's settings.
    ///
    /// # Errors
    /// When the file has mistakes.
    pub fn settings(&self) -> Result<Settings, Failure> {
        Settings::load(&self.dirs()?.config)
    }

    /// The project: its file must be there.
    ///
    /// # Errors
    /// When there is no project file, or it has mistakes.
    pub fn recipe(&self) -> Result<Recipe, Failure> {
        project::load(&self.project_folder()?)
    }

    /// The project's folder: the one named, else the nearest with a project file, else the current one.
    ///
    /// # Errors
    /// When the current folder cannot be used.
    pub fn project_folder(&self) -> Result<PathBuf, Failure> {
        let folder = self.folder()?;
        Ok(if self.project.is_some() { folder } else { project::find(&folder).unwrap_or(folder) })
    }

    /// The project, or the defaults when there is no project file here and none was named.
    ///
    /// # Errors
    /// When the project file has mistakes, or the named folder has none.
    pub fn recipe_or_bare(&self) -> Result<Recipe, Failure> {
        match self.recipe() {
            Err(failure) if failure.kind == FailureKind::NotFound && self.project.is_none() => Ok(project::bare(&self.folder()?)),
            other => other,
        }
    }

    fn folder(&self) -> Result<PathBuf, Failure> {
        let current = std::env::current_dir().map_err(|error| {
            Failure::new(
                FailureKind::Machine,
                format!("the current folder cannot be used: {error}"),
                "Change to a folder that exists.",
            )
        })?;
        Ok(self.project.as_ref().map_or(current.clone(), |folder| current.join(folder)))
    }
}
