//! `footplate local env`: what a shell needs so that AWS clients find the served region and nothing else.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::net::TcpStream;

use crate::cli::globals::Globals;
use crate::cli::print;
use crate::cli::session::local_folder;
use crate::config::dirs::{private_folder, replace_file};
use crate::local::sagemaker::REGION;
use crate::local::{ACCOUNT, Credentials};
use crate::model::{Failure, FailureKind};

/// The execution role that the region has from the start.
const ROLE: &str = "footplate-local-execution-role";

/// Arguments of `local env`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of the region; by default footplate's own
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Prints the environment of the region that is being served.
///
/// # Errors
/// When none is.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let folder = local_folder(globals, args.data.as_ref())?;
    let text = std::fs::read_to_string(file(&folder)).unwrap_or_default();
    // A region that was killed leaves its file behind: only an open door counts.
    let address = text
        .lines()
        .find_map(|line| line.strip_prefix("export AWS_ENDPOINT_URL='http://"))
        .map(|rest| rest.trim_end_matches('\''));
    let open = match address {
        Some(address) => TcpStream::connect(address).await.is_ok(),
        None => false,
    };
    if !open {
        return Err(Failure::new(
            FailureKind::Network,
            format!("no local region is served from {}", folder.display()),
            "Start one in another terminal: footplate local serve",
        ));
    }
    print::raw(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Where the environment of the served region is kept.
#[must_use]
pub fn file(folder: &Path) -> PathBuf {
    folder.join("client").join("env.sh")
}

/// The environment as a shell script, and the files that it names.
///
/// The names and values are what keeps boto3, the `aws` command and the `sagemaker` SDK on loopback: the SDK asks STS at
/// AWS for the account unless the default bucket is configured, and reports each `fit` unless told not to.
///
/// # Errors
/// When the files cannot be written.
pub fn text(folder: &Path, url: &str, credentials: &Credentials) -> Result<String, Failure> {
    let client = folder.join("client");
    private_folder(&client)?;
    let user = format!(
        "SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n      Session:\n        DefaultS3Bucket: 'sagemaker-{REGION}-{ACCOUNT}'\n"
    );
    let written = |name: &str, content: &str| {
        let path = client.join(name);
        match replace_file(&path, content.as_bytes()) {
            Ok(()) => path.into_os_string().into_string().map_err(|_| {
                Failure::new(FailureKind::Machine, "the region's folder is not UTF-8", "Choose another with --data.")
            }),
            Err(error) => {
                Err(Failure::new(FailureKind::Machine, format!("{}: {error}", path.display()), "Free some room on that disk."))
            }
        }
    };
    let exports = [
        ("AWS_ENDPOINT_URL", url.to_owned()),
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id.clone()),
        ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key.clone()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("AWS_CONFIG_FILE", written("config", "")?),
        ("AWS_SHARED_CREDENTIALS_FILE", written("credentials", "")?),
        ("SAGEMAKER_USER_CONFIG_OVERRIDE", written("user.yaml", &user)?),
        ("SAGEMAKER_ADMIN_CONFIG_OVERRIDE", written("admin.yaml", "SchemaVersion: '1.0'\n")?),
        ("SAGEMAKER_SUPPRESS_V2_WARNING", "1".to_owned()),
        ("FOOTPLATE_LOCAL_ROLE", format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}")),
    ];
    let mut text = String::from("unset AWS_SESSION_TOKEN AWS_PROFILE\n");
    for (name, value) in exports {
        text.extend(["export ", name, "=", &quoted(&value), "\n"]);
    }
    Ok(text)
}

/// In single quotes for a POSIX shell.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_written_whatever_the_folder_is_called() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("it's a $HOME `x`");
        let credentials = Credentials { access_key_id: "AKIAX".to_owned(), secret_access_key: "s/e+c'ret".to_owned() };
        let text = text(&folder, "http://127.0.0.1:1", &credentials).unwrap();
        let script = format!(
            "AWS_PROFILE=work; {text}\nprintf '%s\\n' \"$AWS_SECRET_ACCESS_KEY\" \"$AWS_CONFIG_FILE\" \"${{AWS_PROFILE-gone}}\""
        );
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        let expected = format!("s/e+c'ret\n{}\ngone\n", folder.join("client/config").display());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}
