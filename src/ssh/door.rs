//! What a connection needs to know and to ask.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

use super::Pins;
use crate::model::{Failure, Safe};

/// A piece of work that ends in an answer or a failure.
pub type Job<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// Which machine, for the pin of its host key. Addresses are handed from one instance to the next; these three never are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Machine {
    /// Twelve digits.
    pub account: String,
    pub region: String,
    /// `i-…`.
    pub instance: String,
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, account {})", self.instance, self.region, self.account)
    }
}

/// The way there.
#[derive(Clone, PartialEq, Eq)]
pub enum Route {
    /// TCP to the machine's own address.
    Direct { host: IpAddr, port: u16 },
    /// The websocket of an EC2 Instance Connect Endpoint: its URL, signed, good for one minute. A secret while it lasts.
    Tunnel { url: String },
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct { host, port } => f.debug_struct("Direct").field("host", host).field("port", port).finish(),
            Self::Tunnel { url } => f.debug_struct("Tunnel").field("url", &url.split('?').next().unwrap_or_default()).finish(),
        }
    }
}

/// What a connection asks of whoever wants it. The time that answers take does not count against its deadlines.
pub trait Doorman: Send + Sync {
    /// The way there, asked for each connection anew.
    fn route(&self) -> Job<'_, Route>;

    /// Has the key announced (EC2 Instance Connect's `SendSSHPublicKey`): a line in the form of OpenSSH. Asked once the
    /// machine has proven who it is, right before login; once more when the key was refused, in case it came too late; and
    /// a third time if that one's 60 seconds have passed.
    fn introduce<'a>(&'a self, public_key: &'a str) -> Job<'a, ()>;

    /// The host keys in the console output, as lines in the form of OpenSSH ([`super::host_keys`] finds them); empty while
    /// there are none. Asked only when no key is pinned.
    fn expected_host_keys(&self) -> Job<'_, Vec<String>>;

    /// Nothing is known of the machine's key: the user decides. `false` ends the attempt.
    fn trust<'a>(&'a self, offered: &'a Offered) -> Job<'a, bool>;
}

/// A host key that nothing vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    pub machine: Machine,
    /// E.g. `ssh-ed25519`.
    pub algorithm: Safe,
    /// `SHA256:…`, as `ssh-keygen -l` shows it.
    pub fingerprint: Safe,
    /// What the server calls itself, e.g. `SSH-2.0-OpenSSH_9.6p1`.
    pub server: Safe,
    /// Why nothing vouches for it, e.g. that the console output is still empty.
    pub known: Safe,
}

/// Who wants in, and where.
#[derive(Clone, Debug)]
pub struct Login {
    pub machine: Machine,
    /// The user on the machine, e.g. `ubuntu`.
    pub user: String,
    pub pins: Pins,
}
