//! User data: the script that an instance runs once, at its first boot, its output on the console; and what it has put
//! into the folder of cloud-init's `scripts/per-boot`, at each boot after that.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::console::Console;
use super::guest::Guest;
use super::init::End;
use super::machine::{Machine, Process};
use super::pipes::{Ends, Pipes};

/// What a boot runs that is not the first. On EC2 the folder is `/var/lib/cloud/scripts/per-boot`; here the guest is told where
/// it is, for it is not the machine's.
pub const PER_BOOT: &[u8] =
    b"#!/bin/sh\nfor script in \"$FOOTPLATE_PER_BOOT\"/*; do\n  [ -x \"$script\" ] && \"$script\"\ndone\nexit 0\n";

/// Runs it, when it is a script, and notes for `cloud-init status` how far it is. Empty is no user data. It runs as the
/// instance's user, in the home: on a real instance it is root's, in `/`, which here is this machine's.
///
/// Returns when nothing of it writes any more, what it left in the background included.
pub async fn run(script: Vec<u8>, guest: Arc<Guest>, machine: Arc<Machine>, console: Console) {
    note(&guest, "running");
    let run = match script.as_slice() {
        [] => Ok(()),
        [b'#', b'!', ..] => return execute(&script, &guest, &machine, &console).await,
        _ => console.add(b"cloud-init: user data that is not a script (#!) is not run in footplate's local region\n"),
    };
    note(&guest, if run.is_ok() { "done" } else { "error" });
}

fn note(guest: &Guest, status: &str) {
    // A disk that is full is the instance's to notice.
    fs::write(guest.run_folder().join("cloud-init"), status).ok();
}

async fn execute(script: &[u8], guest: &Guest, machine: &Machine, console: &Console) {
    let (mut process, ends) = match start(script, guest, machine).await {
        Ok(started) => started,
        Err(error) => {
            console.add(format!("cloud-init: user data could not be run: {error}\n").as_bytes()).ok();
            return note(guest, "error");
        }
    };
    let log = Console::at(guest.logs().join("cloud-init-output.log"));
    let logs = [console, &log];
    let ended = async {
        let end = process.ended().await;
        if end != End::Code(0) {
            console.add(format!("cloud-init: user data failed: {end:?}\n").as_bytes()).ok();
        }
        note(guest, if end == End::Code(0) { "done" } else { "error" });
    };
    tokio::join!(copy(ends.stdout, &logs), copy(ends.stderr, &logs), ended);
}

async fn start(script: &[u8], guest: &Guest, machine: &Machine) -> io::Result<(Process, Ends)> {
    let path = guest.logs().join(if script == PER_BOOT { "per-boot" } else { "user-data" });
    fs::write(&path, script)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
    let pipes = Pipes::make(&guest.run_folder())?;
    let argv = vec![path.display().to_string()];
    let process = machine.run(argv, guest.environment(), guest.home(), pipes.wiring()).await;
    let ends = Ends { stdin: None, ..pipes.opened() };
    Ok((process?, ends))
}

/// A console that cannot be written to must not stop the script.
async fn copy(mut from: impl AsyncRead + Unpin, to: &[&Console]) {
    let mut buffer = vec![0; 8 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        for console in to {
            console.add(&buffer[..count]).ok();
        }
    }
}
