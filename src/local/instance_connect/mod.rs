//! EC2 Instance Connect: a public key for one user of one instance, for sixty seconds (EC2 Instance Connect API Reference,
//! version 2018-04-02). The machine behind the instance asks the [`Keyring`] when somebody logs in.

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::ec2::Ec2;
use super::fault::Fault;
use super::host::Keyring;
use super::sagemaker::shapes::Model;
use super::wire::input::text;

static MODEL: LazyLock<Model> = LazyLock::new(|| Model::read("EC2 Instance Connect", &[include_str!("shapes.json")]));

/// The kinds of keys that are taken (EC2 User Guide, "Connect using EC2 Instance Connect": RSA and ED25519).
const KINDS: [&str; 2] = ["ssh-rsa", "ssh-ed25519"];

/// One call of the service. Blocks.
///
/// # Errors
/// As AWS answers: `InvalidArgsException`, `EC2InstanceNotFoundException`, `EC2InstanceStateInvalidException`, `AuthException`.
pub fn call(ec2: &Arc<Ec2>, keys: &Keyring, operation: &str, input: Value, request_id: &str) -> Result<Value, Fault> {
    let request = Value::Object(MODEL.accept(operation, input).map_err(own_words)?);
    let member = |name: &str| text(&request, name).unwrap_or_default();
    let (instance, user, key) = (member("InstanceId"), member("InstanceOSUser"), member("SSHPublicKey"));
    let key = check_key(key)?;
    let seen = ec2.look_up(instance)?.ok_or_else(|| {
        Fault::new("EC2InstanceNotFoundException", 404, format!("Instance {instance} not found in your account"))
    })?;
    if text(&request, "AvailabilityZone").is_some_and(|zone| zone != seen.zone) {
        // assumed: code and text for another zone than the instance's.
        let text = format!("Instance {instance} not found in Availability Zone {}", member("AvailabilityZone"));
        return Err(Fault::new("EC2InstanceNotFoundException", 404, text));
    }
    if !seen.running {
        let text = "Unable to connect because the instance is not in a valid state. Connecting to a stopped or terminated instance is not supported. If the instance is stopped, start your instance, and try to connect again.";
        return Err(Fault::new("EC2InstanceStateInvalidException", 400, text));
    }
    if !keys.push(instance, user, &key) {
        return Err(wrong_key());
    }
    Ok(json!({"RequestId": request_id, "Success": true}))
}

/// The front end's refusals have the service's own code.
fn own_words(fault: Fault) -> Fault {
    match fault.code {
        "ValidationException" => Fault { code: "InvalidArgsException", ..fault },
        _ => fault,
    }
}

/// assumed: the text.
fn wrong_key() -> Fault {
    let text = "SSHPublicKey is not a valid OpenSSH public key of the type ssh-rsa or ssh-ed25519";
    Fault::new("InvalidArgsException", 400, text)
}

/// The key as `KIND BASE64`, its comment left out.
fn check_key(key: &str) -> Result<String, Fault> {
    let wrong = wrong_key;
    let line = key.trim_end_matches(['\r', '\n']);
    if line.contains(['\r', '\n']) {
        return Err(wrong());
    }
    let mut words = line.split_ascii_whitespace();
    let (Some(kind), Some(material)) = (words.next(), words.next()) else { return Err(wrong()) };
    let bytes = STANDARD.decode(material).map_err(|_| wrong())?;
    // The material begins with its kind, as a string of SSH (RFC 4253, section 6.6).
    let inner = bytes.get(4..4 + kind.len());
    let length = bytes.get(..4).map(|length| u32::from_be_bytes([length[0], length[1], length[2], length[3]]));
    let same = inner == Some(kind.as_bytes()) && length.and_then(|length| usize::try_from(length).ok()) == Some(kind.len());
    if KINDS.contains(&kind) && same { Ok(format!("{kind} {material}")) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4253: the kind as a string, then thirty-two bytes as a string.
    fn ed25519(kind: &str) -> String {
        let mut bytes = vec![0, 0, 0, 11];
        bytes.extend(b"ssh-ed25519");
        bytes.extend([0, 0, 0, 32]);
        bytes.extend([7; 32]);
        format!("{kind} {}", STANDARD.encode(bytes))
    }

    #[test]
    fn the_model_is_whole() {
        MODEL.assert_whole();
    }

    #[test]
    fn keys_are_openssh_lines_of_two_kinds() {
        let key = ed25519("ssh-ed25519");
        assert_eq!(check_key(&format!("{key} me@here\n")).unwrap(), key);
        for wrong in [
            ed25519("ssh-rsa"),
            ed25519("ecdsa-sha2-nistp256"),
            "ssh-ed25519 AAAA".to_owned(),
            format!("{key}\n{key}"),
            "x".repeat(90),
        ] {
            assert_eq!(check_key(&wrong).unwrap_err().code, "InvalidArgsException", "{wrong}");
        }
    }
}
