//! What an instance has on its disk: a home, a few commands of its own, the environments. And what its processes are told.
//!
//! Everything is below the instance's folder and survives stop and start. It is a place, not a prison: programs in it run
//! as the user who runs footplate, on this machine's own files, and the message of the day says so.

use std::fs;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::HostSpec;
use super::environment::Environment;

/// The system's part of PATH, as Ubuntu's sshd gives it; the region's own is nobody's business here.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// A folder for sockets (tmux's) must have a shorter name than this: socket names end at 108 bytes (unix(7)).
const SOCKET_FOLDER_BYTES: usize = 70;
/// The commands that an instance has of its own. Not only for looks: this machine's own `shutdown` would be the user's.
const COMMANDS: [(&str, &str); 9] = [
    ("shutdown", include_str!("guest/shutdown.sh")),
    ("poweroff", "#!/bin/bash\nexec @BIN@/shutdown -h now\n"),
    ("halt", "#!/bin/bash\nexec @BIN@/shutdown -h now\n"),
    ("reboot", "#!/bin/bash\nexec @BIN@/shutdown -r now\n"),
    ("init", include_str!("guest/init.sh")),
    ("systemctl", include_str!("guest/systemctl.sh")),
    ("systemd-run", include_str!("guest/systemctl.sh")),
    ("sudo", include_str!("guest/sudo.sh")),
    ("cloud-init", include_str!("guest/cloud-init.sh")),
];

/// One instance's inside.
pub struct Guest {
    folder: PathBuf,
    instance: String,
    user: String,
    image: String,
    hostname: String,
    datasets: Option<String>,
    variables: Vec<(String, String)>,
    environment: Environment,
    scratch: PathBuf,
}

impl Guest {
    /// Lays out the folder: commands anew at every boot, the home's files when they are not there. The environments are
    /// [`Environment::build`]'s to make.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn lay_out(spec: &HostSpec) -> io::Result<Self> {
        let guest = Self {
            folder: spec.folder.clone(),
            instance: spec.instance_id.clone(),
            user: spec.user.clone(),
            image: spec.image.clone(),
            hostname: hostname(spec.private_address),
            datasets: spec.datasets.clone(),
            variables: spec.variables.clone(),
            environment: Environment::new(spec.environment, &spec.folder),
            scratch: scratch(&spec.folder, &spec.instance_id)?,
        };
        let private = |path: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        private(&guest.folder)?;
        // What is in there is of the last boot: pipes whose other ends are gone.
        fs::remove_dir_all(guest.run_folder()).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        for folder in [guest.home(), guest.run_folder(), guest.bin(), guest.logs(), guest.folder.join("etc/ssh")] {
            private(&folder)?;
        }
        let values = [
            ("@BIN@", quote(&guest.bin())),
            ("@RUN@", quote(&guest.run_folder())),
            ("@USER@", guest.user.clone()),
            ("@SPEED@", format!("{}", (spec.speed.max(0.001) * 1000.0).round())),
        ];
        for (name, text) in COMMANDS {
            let path = guest.bin().join(name);
            fs::write(&path, values.iter().fold(text.to_owned(), |text, (key, value)| text.replace(key, value)))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        for (name, text) in [(".profile", include_str!("guest/profile.sh")), (".bashrc", include_str!("guest/bashrc.sh"))] {
            let path = guest.home().join(name);
            if !path.exists() {
                fs::write(path, text.replace("@PROMPT@", &guest.prompt()))?;
            }
        }
        if let Some(line) = spec.launch_key.as_ref().filter(|_| spec.first_boot) {
            private(&guest.home().join(".ssh"))?;
            let mut file = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(guest.authorized_keys())?;
            writeln!(file, "{line}")?;
        }
        Ok(guest)
    }

    /// Whose keys open it, beside those that are pushed.
    #[must_use]
    pub fn authorized_keys(&self) -> PathBuf {
        self.home().join(".ssh/authorized_keys")
    }

    /// e.g. `ip-172-31-0-5`.
    #[must_use]
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// The one user's name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The AMI's name.
    #[must_use]
    pub fn image(&self) -> &str {
        &self.image
    }

    /// The user's home.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.folder.join("home").join(&self.user)
    }

    /// Pipes and notes of this boot, as `/run`.
    #[must_use]
    pub fn run_folder(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// As `/var/log`.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.folder.join("var/log")
    }

    /// Its Python environments.
    #[must_use]
    pub fn python(&self) -> &Environment {
        &self.environment
    }

    /// The environment of every process: nothing of the region's own. `FOOTPLATE_PYTORCH` is the interpreter of the
    /// environment `pytorch`, for whoever would look for it below `/opt`; `FOOTPLATE_DATASETS` is where data sets are
    /// fetched from.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut path = vec![self.bin().display().to_string()];
        path.extend(self.environment.on_path().map(|path| path.display().to_string()));
        path.push(SYSTEM_PATH.to_owned());
        let path = path.join(":");
        let scratch = self.scratch.display().to_string();
        let mut variables = vec![
            ("HOME", self.home().display().to_string()),
            ("USER", self.user.clone()),
            ("LOGNAME", self.user.clone()),
            ("SHELL", "/bin/bash".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("FOOTPLATE_INSTANCE", self.instance.clone()),
            ("FOOTPLATE_PATH", path.clone()),
            ("FOOTPLATE_PER_BOOT", self.per_boot().display().to_string()),
            ("PATH", path),
            ("TMPDIR", scratch.clone()),
            ("TMUX_TMPDIR", scratch),
        ];
        variables.extend(self.environment.interpreter().map(|path| ("FOOTPLATE_PYTORCH", path.display().to_string())));
        variables.extend(self.datasets.iter().map(|url| ("FOOTPLATE_DATASETS", url.clone())));
        let own = variables.into_iter().map(|(name, value)| (name.to_owned(), value));
        own.chain(self.variables.iter().cloned()).collect()
    }

    /// Scripts for each boot but the first.
    #[must_use]
    pub fn per_boot(&self) -> PathBuf {
        self.folder.join("var/per-boot")
    }

    /// Whether the user wants no message of the day.
    #[must_use]
    pub fn is_hushed(&self) -> bool {
        self.home().join(".hushlogin").exists()
    }

    /// The message of the day: what this is, and what it is not.
    #[must_use]
    pub fn motd(&self) -> String {
        let Self { image, instance, .. } = self;
        let environment = self.environment.motd();
        let datasets = match &self.datasets {
            Some(_) => " * Data sets of the region: wget \"$FOOTPLATE_DATASETS/FILE\".\n",
            None => "",
        };
        let region = if self.variables.is_empty() {
            ""
        } else {
            " * aws and the SDKs find this region here, not AWS, and the instance's role, if it has\n   \
             an instance profile (env | grep AWS_).\n"
        };
        format!(
            "Welcome to {image}\n\n\
             This is {instance} of footplate's local region: a stand-in, not a machine of AWS.\n\
             \x20* It is not isolated from this machine. Programs run as the user who runs\n\
             \x20  footplate, with a home of their own; what they change elsewhere is changed.\n\
             {environment}\
             {datasets}\
             {region}\
             \x20* There is no GPU. Everything in here ends with the instance and the region.\n\n"
        )
    }

    fn bin(&self) -> PathBuf {
        self.folder.join("bin")
    }

    /// As the image's own: Amazon Linux has brackets.
    fn prompt(&self) -> String {
        match self.user.as_str() {
            "ec2-user" => format!("[{}@{} \\W]$ ", self.user, self.hostname),
            user => format!("{user}@{}:\\w$ ", self.hostname),
        }
    }
}

impl Drop for Guest {
    /// The sockets' folder below `/tmp` goes; all that used it is dead.
    fn drop(&mut self) {
        if !self.scratch.starts_with(&self.folder) {
            fs::remove_dir_all(&self.scratch).ok();
        }
    }
}

/// A login shell, or a command as sshd runs it: the program and its arguments.
#[must_use]
pub fn shell(command: Option<String>) -> Vec<String> {
    let option = if command.is_none() { "-l" } else { "-c" };
    ["/bin/bash", option].into_iter().map(str::to_owned).chain(command).collect()
}

/// The name that EC2 gives (VPC user guide, "DNS attributes": the first part of the private DNS name).
fn hostname(private: Ipv4Addr) -> String {
    format!("ip-{}", private.to_string().replace('.', "-"))
}

/// A folder for temporary files and sockets: in the instance's own folder when its name is short enough for sockets.
fn scratch(folder: &Path, instance: &str) -> io::Result<PathBuf> {
    let inside = folder.join("tmp");
    let path = if inside.as_os_str().len() < SOCKET_FOLDER_BYTES {
        inside
    } else {
        Path::new("/tmp").join(format!("footplate-{}-{instance}", nix::unistd::getuid()))
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
    let metadata = fs::symlink_metadata(&path)?;
    if !metadata.is_dir() || metadata.uid() != nix::unistd::getuid().as_raw() || metadata.mode() & 0o077 != 0 {
        return Err(io::Error::other(format!("{} is somebody else's: remove it", path.display())));
    }
    Ok(path)
}

/// A path as one word of a shell.
fn quote(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_words() {
        assert_eq!(hostname(Ipv4Addr::new(172, 31, 4, 7)), "ip-172-31-4-7");
        assert_eq!(quote(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
