//! The keys themselves: made, read, and known by their fingerprints as EC2 reckons them (EC2 User Guide, "Verify the fingerprint
//! of your key pair").

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, PrivateKey, PublicKey};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::local::fault::Fault;

/// Tags of DER (ITU-T X.690).
const INTEGER: u8 = 2;
const BITS: u8 = 3;
const OCTETS: u8 = 4;
const SEQUENCE: u8 = 0x30;
/// `rsaEncryption` with its empty parameters (RFC 3279, section 2.3.1).
const RSA: [u8; 15] = [SEQUENCE, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];

/// What is known of a key without its private half.
pub struct Known {
    /// `rsa` or `ed25519`.
    pub kind: &'static str,
    /// Algorithm and key, as in `authorized_keys`.
    pub public: String,
    pub fingerprint: String,
}

/// A new key.
pub struct Made {
    pub known: Known,
    /// As a file that SSH clients read.
    pub private: Zeroizing<String>,
}

impl Made {
    /// RSA of 2048 bits; the file as PKCS #1, the fingerprint of the private key's PKCS #8.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn rsa() -> Result<Self, Fault> {
        let broken = |_| Fault::internal("no RSA key could be made");
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(broken)?;
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().map_err(broken)?;
        let whole = pkcs8.as_ref();
        let unlike = || Fault::internal("an RSA key is not as it should be");
        // PKCS #8 is version, algorithm, and PKCS #1 in octets (RFC 5208).
        let (inside, _) = part(whole, SEQUENCE).ok_or_else(unlike)?;
        let (_, rest) = part(inside, INTEGER).ok_or_else(unlike)?;
        let (_, rest) = part(rest, SEQUENCE).ok_or_else(unlike)?;
        let (pkcs1, _) = part(rest, OCTETS).ok_or_else(unlike)?;
        let (numbers, _) = part(pair.public_key().as_ref(), SEQUENCE).ok_or_else(unlike)?;
        let (modulus, rest) = part(numbers, INTEGER).ok_or_else(unlike)?;
        let (exponent, _) = part(rest, INTEGER).ok_or_else(unlike)?;
        // Numbers of DER and of SSH (RFC 4251, `mpint`) are the same: the fewest octets of the two's complement.
        let mut blob = Vec::new();
        for field in [&b"ssh-rsa"[..], exponent, modulus] {
            blob.extend(u32::try_from(field.len()).unwrap_or_default().to_be_bytes());
            blob.extend(field);
        }
        let public = format!("ssh-rsa {}", STANDARD.encode(blob));
        let known = Known { kind: "rsa", public, fingerprint: colons(&Sha1::digest(whole)) };
        Ok(Self { known, private: pem(pkcs1) })
    }

    /// ED25519; the file in OpenSSH's own format.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn ed25519(comment: &str) -> Result<Self, Fault> {
        let mut key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(Fault::internal)?;
        key.set_comment(comment);
        let private = key.to_openssh(LineEnding::LF).map_err(Fault::internal)?;
        Ok(Self { known: Known::of(key.public_key())?, private })
    }
}

impl Known {
    /// The public key that a client brings: in base64, OpenSSH's line or RFC 4716's block.
    ///
    /// # Errors
    /// `InvalidKey.Format`.
    pub fn read(material: &str) -> Result<Self, Fault> {
        let plain: String = material.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let text = STANDARD.decode(plain).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(unreadable)?;
        let line = block(&text).unwrap_or(text);
        let key = PublicKey::from_openssh(line.trim()).map_err(|_| unreadable())?;
        Self::of(&key)
    }

    fn of(key: &PublicKey) -> Result<Self, Fault> {
        let blob = key.to_bytes().map_err(Fault::internal)?;
        let (kind, name, fingerprint) = match key.key_data() {
            KeyData::Ed25519(_) => ("ed25519", "ssh-ed25519", STANDARD.encode(Sha256::digest(&blob))),
            KeyData::Rsa(rsa) => {
                let numbers = [der(INTEGER, rsa.n().as_bytes()), der(INTEGER, rsa.e().as_bytes())].concat();
                let bits = [&[0], der(SEQUENCE, &numbers).as_slice()].concat();
                let whole = der(SEQUENCE, &[&RSA[..], &der(BITS, &bits)].concat());
                ("rsa", "ssh-rsa", colons(&Md5::digest(whole)))
            }
            _ => return Err(unreadable()),
        };
        Ok(Self { kind, public: format!("{name} {}", STANDARD.encode(&blob)), fingerprint })
    }
}

fn unreadable() -> Fault {
    Fault::new("InvalidKey.Format", 400, "Key is not in valid OpenSSH public key format")
}

/// OpenSSH's line of a block as RFC 4716 has it: headers, which may go on behind a backslash, and the key in base64.
fn block(text: &str) -> Option<String> {
    let inside = text.split_once("---- BEGIN SSH2 PUBLIC KEY ----")?.1.split_once("---- END SSH2 PUBLIC KEY ----")?.0;
    let mut key = String::new();
    let mut goes_on = false;
    for line in inside.lines().map(str::trim) {
        if !goes_on && !line.contains(':') {
            key.push_str(line);
        }
        goes_on = line.ends_with('\\');
    }
    let blob = STANDARD.decode(&key).ok()?;
    let length = usize::try_from(u32::from_be_bytes(*blob.first_chunk()?)).ok()?;
    let name = String::from_utf8(blob.get(4..4 + length)?.to_vec()).ok()?;
    Some(format!("{name} {key}"))
}

/// The content of what stands first, which must be of a kind, and what follows it.
fn part(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let long = usize::from(first & 0x7f);
    let (length, rest) = if first & 0x80 == 0 {
        (long, rest)
    } else {
        let (digits, rest) = rest.split_at_checked(long)?;
        (digits.iter().fold(0_usize, |length, digit| (length << 8) | usize::from(*digit)), rest)
    };
    (*kind == tag).then(|| rest.split_at_checked(length))?
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().position(|digit| *digit > 0).unwrap_or(length.len() - 1)..];
    let mut out = vec![tag];
    if content.len() >= 0x80 {
        // At most eight.
        out.push(0x80 | u8::try_from(digits.len()).unwrap_or_default());
    }
    out.extend(digits);
    out.extend(content);
    out
}

fn pem(der: &[u8]) -> Zeroizing<String> {
    let text = Zeroizing::new(STANDARD.encode(der));
    let mut out = Zeroizing::new(String::with_capacity(text.len() + text.len() / 64 + 128));
    out.push_str("-----BEGIN RSA PRIVATE KEY-----\n");
    for (at, sign) in text.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            out.push('\n');
        }
        out.push(sign);
    }
    out.push_str("\n-----END RSA PRIVATE KEY-----\n");
    out
}

fn colons(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `ssh-keygen -t rsa -b 2048` and `ssh-keygen -t ed25519`; fingerprints by `ssh-keygen -e -m PKCS8 | openssl pkey
    /// -pubin -outform DER | openssl md5 -c` and `ssh-keygen -l`.
    const RSA_LINE: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCmarf6XV8uqSY27oDy22GiH56KkFN+SXuc7FcX41xAj38q/CFJ5rCDm+NqYPfG6FvRL6B8WA84eeCgtPEv6xQq1GlgrjVyIxa2l7ytg+uiNPJmDYV36zE0A08XoMX73SHm5lyBCxZXs7Av6al2p7DVJSyLesHh/H/HFi18HpOZbF3eJP5UKeKGxVsi6rPO6XxQA/zx/HX9JY1jSaSRq+1hd8JGLdwQyG4pHgwHA1aOoX9gY/gbllUwL97ObG8mjzrbFqJG1lIpBQhZj9MShIvZQex1zx3/oyZ36d+X6jay+sR5BDlviJGjJ5Q8DKmwlZj1qQPEdzJpkYEJgofs08pF me";
    const RSA_MD5: &str = "e8:b6:42:f0:26:82:c5:70:7d:61:f7:b9:4a:be:de:8e";
    const RSA_BLOCK: &str = "---- BEGIN SSH2 PUBLIC KEY ----\nComment: \"2048-bit RSA, converted by root@vm from OpenSSH\"\nAAAAB3NzaC1yc2EAAAADAQABAAABAQCmarf6XV8uqSY27oDy22GiH56KkFN+SXuc7FcX41\nxAj38q/CFJ5rCDm+NqYPfG6FvRL6B8WA84eeCgtPEv6xQq1GlgrjVyIxa2l7ytg+uiNPJm\nDYV36zE0A08XoMX73SHm5lyBCxZXs7Av6al2p7DVJSyLesHh/H/HFi18HpOZbF3eJP5UKe\nKGxVsi6rPO6XxQA/zx/HX9JY1jSaSRq+1hd8JGLdwQyG4pHgwHA1aOoX9gY/gbllUwL97O\nbG8mjzrbFqJG1lIpBQhZj9MShIvZQex1zx3/oyZ36d+X6jay+sR5BDlviJGjJ5Q8DKmwlZ\nj1qQPEdzJpkYEJgofs08pF\n---- END SSH2 PUBLIC KEY ----";
    const ED25519_LINE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICQPm1G/eQGJiVsjaZhJFealJXB9PoLqp8JQ5PV+vJyR";
    const ED25519_SHA256: &str = "jGgjWbVQCHRgTM337M+u3W9ESPD0AEQc9Tvip78d+iw";

    fn read(text: &str) -> Result<Known, Fault> {
        Known::read(&STANDARD.encode(text))
    }

    #[test]
    fn keys_have_the_fingerprints_of_the_user_guide() {
        let rsa = read(RSA_LINE).unwrap();
        assert_eq!((rsa.kind, rsa.fingerprint.as_str()), ("rsa", RSA_MD5));
        assert!(RSA_LINE.starts_with(&rsa.public));
        assert_eq!(read(RSA_BLOCK).unwrap().public, rsa.public);
        let ed25519 = read(&format!("{ED25519_LINE} me@home\n")).unwrap();
        assert_eq!((ed25519.kind, ed25519.fingerprint.trim_end_matches('=')), ("ed25519", ED25519_SHA256));
    }

    #[test]
    fn what_is_no_public_key_is_refused() {
        let dss = "ssh-dss AAAAB3NzaC1kc3MAAAAB";
        let ecdsa = PrivateKey::random(&mut safe_rng(), Algorithm::Ecdsa { curve: russh::keys::EcdsaCurve::NistP256 }).unwrap();
        let ecdsa = ecdsa.public_key().to_openssh().unwrap();
        for wrong in
            ["", "hello", dss, "ssh-rsa AAAA", &ecdsa, "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----"]
        {
            assert_eq!(read(wrong).err().map(|fault| fault.code), Some("InvalidKey.Format"), "{wrong}");
        }
        assert!(Known::read("not base64!").is_err());
    }

    #[test]
    fn a_new_key_is_what_it_says() {
        let rsa = Made::rsa().unwrap();
        assert!(rsa.private.starts_with("-----BEGIN RSA PRIVATE KEY-----\n") && rsa.known.fingerprint.len() == 59);
        let read_again = russh::keys::decode_secret_key(&rsa.private, None).unwrap();
        assert!(read_again.public_key().to_openssh().unwrap().starts_with(&rsa.known.public));
        let ed25519 = Made::ed25519("mine").unwrap();
        let read_again = PrivateKey::from_openssh(ed25519.private.as_bytes()).unwrap();
        assert_eq!(read_again.public_key().to_openssh().unwrap(), format!("{} mine", ed25519.known.public));
        assert!(Made::rsa().unwrap().private != rsa.private);
    }
}
