//! What goes wrong with a connection, told with its remedy. What the server says is cut to a readable length.

use std::io;
use std::time::Duration;

use russh::Error;

use super::tunnel::TunnelEnded;
use super::{Deadlines, Machine, Route};
use crate::model::{Failure, FailureKind, Safe};

/// Characters that are shown of what the server says.
const SHOWN: usize = 300;

const FIREWALL: &str = "see that its security group lets your address in on port 22, that it runs, and that its subnet has a route to the internet; \
     or take an EC2 Instance Connect Endpoint";
const AGAIN: &str =
    "connect again, if the machine still runs: what was started detached goes on there until it is stopped or rebooted";

/// No more of a text than is worth showing.
pub(super) fn cut(said: &str) -> String {
    let said = said.trim();
    let mut shown: String = said.chars().take(SHOWN).collect();
    if shown.len() < said.len() {
        shown.push('…');
    }
    shown
}

/// TCP did not open.
pub(super) fn unreachable(route: &Route, error: &io::Error) -> Failure {
    let at = at(route);
    let (kind, what, hint) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (
            FailureKind::Network,
            format!("nothing listens at {at}"),
            "an instance that is just starting takes a minute or two until its SSH server runs; then look at its console output",
        ),
        io::ErrorKind::TimedOut => (FailureKind::Timeout, format!("no answer from {at}"), FIREWALL),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            (FailureKind::Network, format!("there is no way to {at}: {error}"), "see that this machine is on the network")
        }
        _ => (FailureKind::Network, format!("{at} cannot be reached: {error}"), "see that this machine is on the network"),
    };
    Failure::new(kind, what, hint)
}

/// TCP, or the tunnel, was not open in time.
pub(super) fn unanswered(route: &Route, after: Duration) -> Failure {
    let what = format!("no answer from {} within {}", at(route), seconds(after));
    let hint = match route {
        Route::Direct { .. } => FIREWALL,
        Route::Tunnel { .. } => {
            "see that HTTPS (TCP port 443) leads out of your network; the endpoint may also be busy: try again"
        }
    };
    Failure::new(FailureKind::Timeout, what, hint)
}

fn at(route: &Route) -> String {
    match route {
        Route::Direct { host, port } => format!("{host} port {port}"),
        Route::Tunnel { url } => {
            let host = url.split("://").nth(1).unwrap_or(url).split(['/', '?']).next().unwrap_or_default();
            format!("the endpoint {host}")
        }
    }
}

pub(super) fn no_greeting(after: Duration) -> Failure {
    Failure::new(
        FailureKind::Timeout,
        format!("the server took the connection and has not greeted within {}", seconds(after)),
        "the instance may be out of memory or just starting: try again, look at its console output, or reboot it",
    )
}

pub(super) fn not_ssh(said: &Safe) -> Failure {
    Failure::new(
        FailureKind::Service,
        format!("what answers is no SSH server that we can talk to; it said: {}", cut(said.as_str())),
        "see that the address and port are the instance's",
    )
}

pub(super) fn hung_up() -> Failure {
    Failure::new(
        FailureKind::Network,
        "the server ended the connection before it greeted",
        "it may be starting, or have too many connections: try again in a minute",
    )
}

/// The whole login took too long.
pub(super) fn too_slow(after: Duration) -> Failure {
    Failure::new(
        FailureKind::Timeout,
        format!("the login was not done within {}", seconds(after)),
        "the instance may be overloaded: try again, or look at its CPU and console output",
    )
}

/// A request of ours was not answered.
pub(super) fn no_reply(what: &str, after: Duration) -> Failure {
    Failure::new(FailureKind::Timeout, format!("the server has not answered {what} within {}", seconds(after)), AGAIN)
}

/// The server refused a request.
pub(super) fn declined(what: &str, hint: &str) -> Failure {
    Failure::new(FailureKind::Service, format!("the server refused {what}"), hint)
}

/// The key that was announced is not taken.
pub(super) fn refused_login(user: &str, machine: &Machine, methods: &str, partial: bool) -> Failure {
    let what = format!("{} does not let the user '{}' in with the key that was announced for them", machine.instance, cut(user));
    let hint = if partial {
        "its SSH server wants a second proof (a password or code) beside the key, which EC2 Instance Connect does not give"
            .to_owned()
    } else {
        let offers = if methods.is_empty() { String::new() } else { format!(" (it would take: {})", cut(methods)) };
        format!(
            "take the user of its image: ubuntu for Ubuntu, ec2-user for Amazon Linux; the image must have EC2 Instance Connect, and \
             the announced key counts for 60 seconds only{offers}"
        )
    };
    Failure::new(FailureKind::Denied, what, hint)
}

/// A line that broke.
pub(super) fn broken(error: &io::Error) -> Failure {
    if let Some(ended) = error.get_ref().and_then(|inner| inner.downcast_ref::<TunnelEnded>()) {
        return ended.tell();
    }
    let what = match error.kind() {
        io::ErrorKind::UnexpectedEof => "the instance ended the connection".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "the connection was reset".to_owned(),
        io::ErrorKind::ConnectionAborted => "the connection was closed".to_owned(),
        _ => format!("the connection broke: {}", cut(&error.to_string())),
    };
    Failure::new(FailureKind::Network, what, AGAIN)
}

/// The server said good-bye.
pub(super) fn disconnected(message: &str) -> Failure {
    let said = cut(message);
    let what = if said.is_empty() {
        "the instance ended the connection".to_owned()
    } else {
        format!("the instance ended the connection: {said}")
    };
    Failure::new(FailureKind::Network, what, AGAIN)
}

/// The session task went away without a word.
pub(super) fn gone(panicked: bool) -> Failure {
    if panicked {
        return Failure::new(
            FailureKind::Service,
            "the server sent what our SSH library does not survive; the connection is closed",
            AGAIN,
        );
    }
    Failure::new(FailureKind::Network, "the connection was closed", AGAIN)
}

/// What russh says.
pub(super) fn told(error: &Error, deadlines: &Deadlines) -> Failure {
    let protocol = |what: String| {
        let hint = "if it happens again, something between here and the instance may be tampering with the line, or the instance is not what it was";
        Failure::new(FailureKind::Service, what, hint)
    };
    match error {
        Error::IO(error) if error.kind() != io::ErrorKind::TimedOut => broken(error),
        Error::IO(_) | Error::KeepaliveTimeout | Error::InactivityTimeout => {
            let what = format!(
                "the instance has not answered for {}: the line is dead or the instance is stopped",
                seconds(deadlines.silence())
            );
            Failure::new(FailureKind::Timeout, what, AGAIN)
        }
        Error::Disconnect | Error::HUP | Error::SendError | Error::RecvError => gone(false),
        Error::Join(error) => gone(error.to_string().contains("panic")),
        Error::NoCommonAlgo { kind, theirs, .. } => {
            let theirs = cut(&theirs.join(", "));
            let what = format!("the server has no {} that is safe to use; it offers: {theirs}", algorithm(kind));
            Failure::new(FailureKind::Service, what, "bring the instance's OpenSSH up to date")
        }
        Error::NoAuthMethod => Failure::new(FailureKind::Denied, "the server lets nobody in any more", AGAIN),
        Error::WrongServerSig => Failure::new(
            FailureKind::Refused,
            "the server could not prove that it holds its host key",
            "do not log in: something stands between here and the instance",
        ),
        other => protocol(format!("the server broke the SSH protocol: {}", cut(&other.to_string()))),
    }
}

fn algorithm(kind: &russh::AlgorithmKind) -> &'static str {
    match kind {
        russh::AlgorithmKind::Kex => "key exchange",
        russh::AlgorithmKind::Key => "kind of host key",
        russh::AlgorithmKind::Cipher => "cipher",
        russh::AlgorithmKind::Compression => "compression",
        russh::AlgorithmKind::Mac => "message authentication",
    }
}

fn seconds(time: Duration) -> String {
    if time.subsec_millis() == 0 { format!("{} s", time.as_secs()) } else { format!("{:.1} s", time.as_secs_f64()) }
}
