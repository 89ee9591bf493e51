//! The SSH client: connections with deadlines, host keys that are pinned, terminals, commands and files. Level 1: knows
//! `model` only; keys come from and go to whoever asks for the connection.
//!
//! Over russh, with nothing left to its defaults: those never time out, offer SHA-1 and accept channels that the server
//! opens. What is at the other end is taken to be hostile: all that it can say is bounded, and a panic or a broken protocol
//! ends the connection, never the program.
//!
//! - [`Connection::open`] asks its [`Doorman`] for the way there and for the key to be announced.
//! - [`Connection::run`], [`Connection::stream`], [`Connection::shell`] and [`Connection::files`] use the connection.
//! - [`Pins`] remember which machine has which host key.
//!
//! russh has one receiving window for all channels of a connection, and waits when one of them is not read. So what is not
//! read holds up the rest: bulk transfers go over a connection of their own ([`Manner::bulk`]).

mod channel;
mod connect;
mod connection;
mod console;
mod door;
mod ear;
mod fault;
mod files;
mod hostkey;
mod manner;
mod pins;
mod shell;
mod tunnel;
mod wire;

pub use channel::{Exit, Heard};
pub use connection::{Bounds, Connection, Ran, Stream};
pub use console::host_keys;
pub use door::{Doorman, Job, Login, Machine, Offered, Route};
pub use files::{Copied, Entry, Files, Flaw, Lack, Outgoing, Unfit, look as outgoing};
pub use manner::{Deadlines, Manner};
pub use pins::{Pin, Pins};
pub use shell::{Shell, ShellInput, ShellOutput};
