//! The names of the profiles in the AWS files, so that a misspelt `--profile` is told before anything is asked.
//!
//! Format: <https://docs.aws.amazon.com/cli/v1/userguide/cli-configure-files.html>; `[default]` and `[profile name]` in the
//! configuration file, `[name]` in the credentials file.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::model::{Failure, FailureKind};

/// Whether there is a profile of that name.
///
/// # Errors
/// When there is none; the hint lists those there are. Files that cannot be read have none.
pub(super) fn known(profile: &str) -> Result<(), Failure> {
    let read = |variable: &str, name: &str| {
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".aws").join(name));
        let path = std::env::var_os(variable).map(PathBuf::from).or(home);
        path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default()
    };
    let config = read("AWS_CONFIG_FILE", "config");
    let credentials = read("AWS_SHARED_CREDENTIALS_FILE", "credentials");
    among(profile, &names(&config, &credentials))
}

fn among(profile: &str, names: &BTreeSet<String>) -> Result<(), Failure> {
    if names.contains(profile) {
        return Ok(());
    }
    let listed = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let hint = if names.is_empty() {
        "~/.aws/config and ~/.aws/credentials have none: run `aws configure --profile P`".to_owned()
    } else {
        format!("there are: {listed}")
    };
    Err(Failure::new(FailureKind::Invalid, format!("there is no AWS profile '{profile}'"), hint))
}

fn names(config: &str, credentials: &str) -> BTreeSet<String> {
    let sections = |text: &str| -> Vec<String> {
        let heads = text.lines().filter_map(|line| line.trim().strip_prefix('[')?.split_once(']').map(|(head, _)| head.trim()));
        heads.map(str::to_owned).collect()
    };
    let of_config = sections(config).into_iter().filter_map(|head| match head.split_once(char::is_whitespace) {
        Some(("profile", name)) => Some(name.trim().trim_matches(['"', '\'']).to_owned()),
        None if head == "default" => Some(head),
        _ => None,
    });
    of_config.chain(sections(credentials)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_profile_is_told_with_those_there_are() {
        let config = "[default]\nregion = us-east-1\n[profile work]\n[sso-session corp]\n[ profile  \"my own\" ] # mine\n";
        let names = names(config, "[keys]\naws_access_key_id = x\n");
        assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), ["default", "keys", "my own", "work"]);
        assert!(among("work", &names).is_ok());
        let failure = among("wrok", &names).unwrap_err();
        assert!(failure.what.as_str().contains("'wrok'") && failure.hint.as_str().contains("keys, my own, work"), "{failure}");
    }
}
