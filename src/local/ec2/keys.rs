//! Key pairs: public keys by name, and what launches make of them. A private key is told once, by the call that makes it, and
//! kept nowhere (EC2 User Guide, "Amazon EC2 key pairs and Amazon EC2 instances").

mod material;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Ec2;
use super::filter::pass;
use super::ids::{KEY_PAIR, fresh};
use super::store::Kept;
use super::tags::{self, Tags};
use super::wanted::{check_dry_run, flag, invalid, text, texts, time};
use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;
use material::{Known, Made};

/// The longest name (EC2 API Reference, `CreateKeyPair`).
const NAME: usize = 255;

/// A key pair as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyPair {
    id: String,
    name: String,
    /// `rsa` or `ed25519`.
    kind: String,
    /// A line as in `authorized_keys`, with the name as its comment.
    public: String,
    fingerprint: String,
    /// In epoch milliseconds.
    created: i64,
    visible: i64,
}

impl Kept for KeyPair {
    const KIND: &'static str = "key-pair";

    fn id(&self) -> &str {
        &self.id
    }
}

/// The key that an instance was launched with: it stays when its pair is deleted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LaunchKey {
    pub name: String,
    /// A line as in `authorized_keys`.
    pub public: String,
}

/// The key that a launch names, if it does.
///
/// # Errors
/// `InvalidKeyPair.NotFound`.
pub fn for_launch(ec2: &Ec2, request: &Value) -> Result<Option<LaunchKey>, Fault> {
    let Some(name) = text(request, "KeyName") else { return Ok(None) };
    let pair = ec2.store.all::<KeyPair>()?.into_iter().find(|pair| pair.name == name);
    let pair = pair.ok_or_else(|| missing(&[name]))?;
    Ok(Some(LaunchKey { name: pair.name, public: pair.public }))
}

/// `CreateKeyPair`.
///
/// # Errors
/// `InvalidKeyPair.Duplicate`, `UnsupportedOperation` for the format of `PuTTY`, and for wrong names and tags.
pub fn create(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let (name, tags) = new_name(ec2, request)?;
    if text(request, "KeyFormat") == Some("ppk") {
        let text = "The local region does not write private keys in PuTTY's format. Leave KeyFormat out, or make it pem; puttygen converts it.";
        return Err(Fault::new("UnsupportedOperation", 400, text));
    }
    check_dry_run(request)?;
    let made = if text(request, "KeyType") == Some("ed25519") { Made::ed25519(&name)? } else { Made::rsa()? };
    let pair = keep(ec2, name, &made.known, &tags)?;
    let mut answer = told(ec2, &pair);
    answer["KeyMaterial"] = json!(*made.private);
    Ok(answer)
}

/// `ImportKeyPair`.
///
/// # Errors
/// `InvalidKey.Format` for what is no public RSA or ED25519 key; as [`create`] for the rest.
pub fn import(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let (name, tags) = new_name(ec2, request)?;
    let known = Known::read(text(request, "PublicKeyMaterial").unwrap_or_default())?;
    check_dry_run(request)?;
    let pair = keep(ec2, name, &known, &tags)?;
    Ok(told(ec2, &pair))
}

/// `DeleteKeyPair`: one that is not there is no error.
///
/// # Errors
/// `MissingParameter` when none is named.
pub fn delete(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let (name, id) = (text(request, "KeyName"), text(request, "KeyPairId"));
    if name.is_none() && id.is_none() {
        return Err(Fault::new("MissingParameter", 400, "The request must contain the parameter KeyName or KeyPairId"));
    }
    let found = ec2.store.all::<KeyPair>()?.into_iter();
    let found = found.filter(|pair| name.is_none_or(|name| pair.name == name) && id.is_none_or(|id| pair.id == id));
    check_dry_run(request)?;
    let mut answer = json!({"Return": true});
    for pair in found {
        ec2.store.change(|change| change.remove::<KeyPair>(&pair.id))?;
        answer["KeyPairId"] = json!(pair.id);
    }
    Ok(answer)
}

/// `DescribeKeyPairs`.
///
/// # Errors
/// `InvalidKeyPair.NotFound`, and for wrong filters.
pub fn describe(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let (names, ids) = (texts(request, "KeyNames"), texts(request, "KeyPairIds"));
    let mut pairs = ec2.store.all::<KeyPair>()?;
    pairs.retain(|pair| ec2.sees(pair.visible));
    pairs.sort_by(|one, other| one.name.cmp(&other.name));
    ids.iter().try_for_each(|id| KEY_PAIR.check_form(id))?;
    let absent = |wanted: &[&str], of: fn(&KeyPair) -> &str| -> Vec<String> {
        let absent = wanted.iter().filter(|name| pairs.iter().all(|pair| of(pair) != **name));
        absent.map(|name| (*name).to_owned()).collect()
    };
    for absent in [absent(&names, |pair| &pair.name), absent(&ids, |pair| &pair.id)] {
        if !absent.is_empty() {
            return Err(missing(&absent.iter().map(String::as_str).collect::<Vec<_>>()));
        }
    }
    pairs.retain(|pair| {
        names.is_empty() && ids.is_empty() || names.contains(&pair.name.as_str()) || ids.contains(&pair.id.as_str())
    });
    let whole = flag(request, "IncludePublicKey") == Some(true);
    let documents = pairs.iter().map(|pair| {
        let mut shown = told(ec2, pair);
        shown["KeyType"] = json!(pair.kind);
        shown["CreateTime"] = json!(time(pair.created));
        if whole {
            shown["PublicKey"] = json!(pair.public);
        }
        shown
    });
    Ok(json!({"KeyPairs": pass("DescribeKeyPairs", request, documents.collect())?}))
}

/// Whether a key pair has this id.
///
/// # Errors
/// When the store cannot be read.
pub fn is_there(ec2: &Ec2, id: &str) -> Result<bool, Fault> {
    Ok(ec2.store.get::<KeyPair>(id)?.is_some())
}

fn told(ec2: &Ec2, pair: &KeyPair) -> Value {
    let mut shown = json!({"KeyPairId": pair.id, "KeyName": pair.name, "KeyFingerprint": pair.fingerprint, "Tags": []});
    ec2.tagged(&mut shown, &pair.id);
    shown
}

/// assumed: the text for a wrong name.
fn new_name(ec2: &Ec2, request: &Value) -> Result<(String, Tags), Fault> {
    let name = text(request, "KeyName").unwrap_or_default();
    let printed = name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if !printed || name.trim() != name || !(1..=NAME).contains(&name.len()) {
        let text = format!(
            "Value ({name}) for parameter KeyName is invalid. A name has up to {NAME} ASCII characters, and no blanks around it."
        );
        return Err(invalid(text));
    }
    let tags = tags::of_request(request, &["key-pair"])?;
    if ec2.store.all::<KeyPair>()?.iter().any(|pair| pair.name == name) {
        return Err(Fault::new("InvalidKeyPair.Duplicate", 400, "The keypair already exists"));
    }
    Ok((name.to_owned(), tags))
}

fn keep(ec2: &Ec2, name: String, known: &Known, tags: &Tags) -> Result<KeyPair, Fault> {
    let pair = KeyPair {
        id: fresh("key")?,
        public: format!("{} {name}", known.public),
        kind: known.kind.to_owned(),
        fingerprint: known.fingerprint.clone(),
        created: now_millis(),
        visible: ec2.visible_from(),
        name,
    };
    ec2.store.change(|change| {
        change.put(&pair)?;
        tags.apply(change, &pair.id, "key-pair")
    })?;
    Ok(pair)
}

fn missing(names: &[&str]) -> Fault {
    let text = match names {
        [name] => format!("The key pair '{name}' does not exist"),
        _ => format!("The key pairs '{}' do not exist", names.join(", ")),
    };
    Fault::new("InvalidKeyPair.NotFound", 400, text)
}
