//! Instant checks of the forms, field by field.

use std::net::IpAddr;

use super::copy;
use super::image::PARAMETER;
use crate::aws::machines;
use crate::model::{Form, Problem, Safe, Verb, length};

/// Ten minutes to thirty days, as in footplate.toml.
const LEASE: std::ops::RangeInclusive<i64> = 600..=30 * 86_400;
/// What gp3 volumes can have, in GiB (EBS User Guide, "General Purpose SSD volumes").
const STORAGE: std::ops::RangeInclusive<i32> = 1..=16_384;

pub(super) fn check(form: &Form) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |field: &str, message: Option<String>| {
        problems.extend(message.map(|message| Problem { field: field.to_owned(), message: Safe::line(&message), fatal: true }));
    };
    match form.verb {
        Verb::Update => {
            add("instance_type", instance_type(form.value("instance_type")));
            add("lease", Some(form.value("lease")).filter(|text| !text.trim().is_empty()).and_then(lease));
        }
        Verb::Launch | Verb::Clone => {
            add("name", name(form.value("name")));
            add("image", image(form.value("image")));
            add("instance_type", instance_type(form.value("instance_type")));
            add("storage_gb", storage(form.value("storage_gb")));
            add("lease", lease(form.value("lease")));
            add("subnet", Some(form.value("subnet")).filter(|id| !id.is_empty()).and_then(|id| formed("subnet", id)));
            add("zone", zone(form.value("zone")));
            add("security_group", group(form.value("security_group")));
            add("address", Some(form.value("address")).filter(|text| !text.is_empty()).and_then(|text| range(text).err()));
            add("instance_profile", profile(form.value("instance_profile")));
            add("user", user(form.value("user")));
        }
        Verb::Upload | Verb::Download => problems = copy::check(form),
        _ => {}
    }
    problems
}

/// A tag's value of EC2: any letters, at most 256.
fn name(text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() {
        return Some("a name is needed: it is the tag Name, by which one finds it again".to_owned());
    }
    if text.starts_with("i-") {
        return Some("a name that begins with i- would be taken for an id; choose another".to_owned());
    }
    (text.chars().count() > 256 || text.contains(char::is_control))
        .then(|| "a name has at most 256 letters, and no control characters".to_owned())
}

fn image(text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() {
        return Some("an image is needed: its name (* stands for anything), ami-…, or resolve:ssm:…".to_owned());
    }
    if let Some(path) = text.strip_prefix(PARAMETER) {
        let sound = path.starts_with('/') && !path.contains(char::is_whitespace);
        return (!sound).then(|| format!("'{path}' is no path of a parameter; it looks like resolve:ssm:/aws/service/…/ami-id"));
    }
    if text.starts_with("ami-") { formed("ami", text) } else { None }
}

/// Whether there is such a type EC2 itself is asked before anything is launched: it may have newer ones than the SDK knows.
fn instance_type(text: &str) -> Option<String> {
    let text = text.trim();
    if machines::is_formed(text) && !text.starts_with("ml.") {
        return None;
    }
    Some(match machines::nearest(text) {
        Some(near) if text.starts_with("ml.") => format!("'{text}' is SageMaker's name; EC2's is {near}"),
        _ => "one of EC2's instance types is needed, e.g. g4dn.xlarge".to_owned(),
    })
}

fn storage(text: &str) -> Option<String> {
    let text = text.trim();
    let sound = text.is_empty() || text.parse::<i32>().is_ok_and(|size| STORAGE.contains(&size));
    (!sound).then(|| {
        format!("a whole number from {} to {}, not '{text}'; empty: as the image has it", STORAGE.start(), STORAGE.end())
    })
}

fn lease(text: &str) -> Option<String> {
    let sound = length::seconds(text).is_some_and(|seconds| LEASE.contains(&seconds));
    (!sound).then(|| format!("'{text}' is no length of time from 10m to 30d; write e.g. 90m, 4h, 2d"))
}

fn zone(text: &str) -> Option<String> {
    let sound = text.is_empty() || text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (!sound).then(|| format!("'{text}' is no availability zone; it looks like us-east-1a"))
}

fn group(text: &str) -> Option<String> {
    match text {
        "mine" | "default" => None,
        id if id.starts_with("sg-") => formed("sg", id),
        other => Some(format!("'{other}' is neither mine nor default nor a security group, sg-…")),
    }
}

/// An instance profile's name as IAM has it, or its ARN; empty is none.
fn profile(text: &str) -> Option<String> {
    let text = text.trim();
    let name = |name: &str| {
        (1..=128).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
    };
    let sound = text.is_empty()
        || if text.starts_with("arn:") {
            text.split(':').nth(2) == Some("iam")
                && text.split_once(":instance-profile/").is_some_and(|(_, path)| path.rsplit('/').next().is_some_and(name))
        } else {
            name(text)
        };
    if sound {
        return None;
    }
    let arn = "arn:aws:iam::…:instance-profile/NAME";
    Some(if text.contains(":role/") {
        format!("'{text}' is a role; an instance gets an instance profile, {arn}, or its name")
    } else {
        format!("'{text}' is neither the name of an instance profile nor its ARN, {arn}")
    })
}

/// A name that `SendSSHPublicKey` takes: 1 to 32 of these (its service model).
fn user(text: &str) -> Option<String> {
    let sound = text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    (!sound).then(|| format!("'{text}' is no name of a user, e.g. ubuntu or ec2-user"))
}

/// Ids are 8 or 17 hexadecimal digits behind their kind.
pub(super) fn formed(kind: &str, id: &str) -> Option<String> {
    let hex = id.strip_prefix(kind).and_then(|rest| rest.strip_prefix('-'));
    let sound = hex.is_some_and(|hex| {
        matches!(hex.len(), 8 | 17) && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    });
    (!sound).then(|| format!("'{id}' is no id: it is {kind}- and 8 or 17 of the digits 0-9 and a-f"))
}

/// An address or a range of addresses, as security groups want it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn range(text: &str) -> Result<String, String> {
    let (address, bits) = text.trim().split_once('/').map_or((text.trim(), None), |(address, bits)| (address, Some(bits)));
    let wrong = || format!("'{text}' is no address: it looks like 203.0.113.7 or 203.0.113.0/24");
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits: u8 = bits.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
    if bits > most {
        return Err(wrong());
    }
    if bits == 0 {
        return Err("that is the whole internet; name your own address".to_owned());
    }
    Ok(format!("{address}/{bits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_with_the_remedy() {
        let table = [
            (image("ami-1"), "'ami-1' is no id"),
            (image("resolve:ssm:none"), "no path of a parameter"),
            (instance_type("ml.g5.2xlarge"), "'ml.g5.2xlarge' is SageMaker's name; EC2's is g5.2xlarge"),
            (instance_type("huge"), "EC2's instance types is needed"),
            (storage("0"), "a whole number from 1"),
            (lease("5m"), "from 10m to 30d"),
            (group("open"), "neither mine nor default"),
            (group("sg-1"), "no id"),
            (name(""), "a name is needed"),
            (user("root;"), "no name of a user"),
            (profile("no spaces"), "neither the name of an instance profile nor its ARN"),
            (profile("arn:aws:iam::111122223333:role/x"), "is a role; an instance gets an instance profile"),
            (range("0.0.0.0/0").err(), "the whole internet"),
            (range("300.1.1.1").err(), "no address"),
        ];
        for (said, part) in table {
            assert!(said.as_deref().is_some_and(|said| said.contains(part)), "{part}: {said:?}");
        }
        for fine in [
            image("ami-0123456789abcdef0"),
            image("Deep Learning*"),
            instance_type("g5.2xlarge"),
            instance_type("z99.quitenew"),
            storage(""),
            lease("4h"),
            group("mine"),
            profile(""),
            profile("training"),
            profile("arn:aws:iam::111122223333:instance-profile/teams/training"),
            range("203.0.113.7").err(),
            range("2001:db8::1").err(),
        ] {
            assert_eq!(fine, None);
        }
        assert_eq!(range("203.0.113.7").unwrap(), "203.0.113.7/32");
    }
}
