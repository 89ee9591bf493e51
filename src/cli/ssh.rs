//! `footplate ssh INSTANCE [-- COMMAND]`: a login, or a command with its streams and its exit code.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::ask;
use super::globals::Globals;
use super::login;
use super::outlet;
use super::print;
use super::session::{Purpose, Session};
use super::signals::Signals;
use crate::model::{Failure, FailureKind, ItemId, Recipe};
use crate::resource::{self, Ask, Resource};
use crate::runtime::raw::{self, Passage};
use crate::ssh::{Exit, Heard, Manner, Shell, ShellInput, ShellOutput};

/// The key before a command, as in the cockpit: Ctrl-].
const LEADER: u8 = 0x1d;
/// How long a prompt is waited for before the environment is entered.
const GREETING: Duration = Duration::from_secs(3);
/// So long after its last byte the prompt stands; what is typed before is shown twice.
const QUIET: Duration = Duration::from_millis(250);

/// Arguments of `ssh`.
#[derive(clap::Args)]
#[command(after_help = "In a login, Ctrl-] then x (or .) ends it; Ctrl-] twice sends Ctrl-].\n\
    A login enters the project's environment ([instance.run] environment, else pytorch) where the machine has it.\n\
    A command runs in a login shell there (bash -lc). Its exit code is this program's; of a command that a signal ended, 128 and \
    the signal's number, 255 when the connection is lost.")]
pub struct Args {
    /// Its id or name, as `ls instances` prints them
    instance: String,
    /// Give the command a terminal
    #[arg(long, short)]
    tty: bool,
    /// Take the instance's host key if it has this fingerprint
    #[arg(long, value_name = "SHA256:…", value_parser = login::fingerprint)]
    accept_host_key: Option<String>,
    /// Forget the host key that is pinned for it, after asking; with --accept-host-key, put that one in its place
    #[arg(long)]
    forget_host_key: bool,
    /// Forget it without asking
    #[arg(long, short, requires = "forget_host_key")]
    yes: bool,
    /// The command; without one, a login
    #[arg(last = true)]
    command: Vec<String>,
}

/// Logs in, or runs the command.
///
/// # Errors
/// When the instance does not exist or cannot be reached, its host key is not known or not the pinned one, or there is no
/// terminal.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let recipe = globals.recipe_or_bare()?;
    let session = Session::open(globals, Purpose::Change, Some(&recipe)).await?;
    let done = serve(&session, &environment(&recipe), args).await;
    session.end(done).await
}

/// The environment that the project trains in, else the one that deep learning images have; as in the cockpit.
fn environment(recipe: &Recipe) -> String {
    recipe.instance.as_ref().map_or_else(|| "pytorch".to_owned(), |instance| instance.run.environment.clone())
}

async fn serve(session: &Session, environment: &str, args: &Args) -> Result<ExitCode, Failure> {
    let resource = login::machines()?;
    let login = args.command.is_empty();
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let only_key = args.forget_host_key && login && !terminal;
    if login && !terminal && !only_key {
        // Told before a key is announced.
        Passage::enter()?;
    }
    if args.forget_host_key && args.accept_host_key.is_none() {
        forget(session, resource, args).await?;
        if only_key {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let accepted = args.accept_host_key.as_deref();
    let is_terminal = login || args.tty;
    // What goes to a pipe or a file is as much as it is; what a terminal shows is to be cut short by Ctrl-C.
    let manner = if is_terminal { Manner::talk() } else { Manner::bulk() };
    let wanted = login::Wanted { instance: &args.instance, accepted, renews: args.forget_host_key, manner };
    let connection = login::connect(session, &wanted).await?;
    if only_key {
        print::progress(&format!("{} proved to hold the key that you named: it is pinned.", args.instance));
        return Ok(ExitCode::SUCCESS);
    }
    let command = args.command.join(" ");
    if is_terminal {
        let term = std::env::var("TERM").ok().filter(|term| is_term(term)).unwrap_or_else(|| "xterm-256color".to_owned());
        let enter = if login { resource::activation(&connection, environment).await } else { None };
        let passage = Passage::enter()?;
        let (columns, rows) = raw::size();
        let wanted = (!login).then(|| in_login_shell(&command));
        let shell = connection.shell(&term, columns, rows, wanted.as_deref()).await?;
        let done = pump(shell, true, enter).await;
        if !matches!(done, Ok(End::Code(_))) {
            passage.clean_up();
        }
        drop(passage);
        return done.map(told);
    }
    let shell = connection.pipe(&in_login_shell(&command)).await?;
    // On a worker, as the connection is: what the two tell each other wakes no other thread.
    let pumped = AbortOnDropHandle::new(tokio::spawn(pump(shell, false, None))).await;
    let broken = |error| Failure::new(FailureKind::Machine, format!("carrying the output: {error}"), "");
    pumped.map_err(broken)?.map(told)
}

/// How carrying bytes ended.
enum End {
    Code(ExitCode),
    /// The connection is lost.
    Lost(Failure),
}

/// As OpenSSH has it: 255 when the connection is lost.
fn told(end: End) -> ExitCode {
    match end {
        End::Code(code) => code,
        End::Lost(failure) => {
            print::failure(&failure);
            ExitCode::from(255)
        }
    }
}

/// Forgets the pinned key, after asking.
async fn forget(session: &Session, resource: &dyn Resource, args: &Args) -> Result<(), Failure> {
    let nobody: Ask = Arc::new(|_| Box::pin(std::future::ready(false)));
    let login = resource.door(Arc::clone(&session.aws), ItemId(args.instance.clone()), nobody).await?.login;
    let machine = login.machine;
    let Some(pin) = login.pins.look(&machine)? else {
        print::progress(&format!("No host key is pinned for {machine}."));
        return Ok(());
    };
    let question = format!(
        "The host key that is pinned for {machine}:\n  {}\n  {}, vouched for by {}\nWhat answers next is taken for a machine that \
         was never seen. Forget it?",
        pin.fingerprint(),
        pin.key,
        if pin.vouched == "the user" { "you" } else { &pin.vouched }
    );
    ask::confirm(&question, args.yes)?;
    login.pins.forget(&machine)?;
    print::progress(&format!("The host key of {machine} is forgotten."));
    Ok(())
}

/// The environment of a login: what the machine's profile sets up is there, conda for one.
fn in_login_shell(command: &str) -> String {
    format!("exec bash -lc {}", quoted(command))
}

/// For a POSIX shell: one word, as it is.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A name that terminfo could have.
fn is_term(name: &str) -> bool {
    !name.is_empty() && name.len() < 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-+._".contains(&byte))
}

/// Carries bytes both ways until the other end is done. `enter` is typed first, as the user would see it.
async fn pump(shell: Shell, terminal: bool, enter: Option<String>) -> Result<End, Failure> {
    let (mut input, mut output) = shell.split();
    let mut signals = Signals::listen()?;
    let greeted = Notify::new();
    let saying = async {
        if let Some(line) = enter {
            let prompted = async {
                greeted.notified().await;
                while timeout(QUIET, greeted.notified()).await.is_ok() {}
            };
            let _ = timeout(GREETING, prompted).await;
            given(input.send(format!("{line}\r").into_bytes()).await).await;
        }
        say(&mut input, terminal).await
    };
    let hearing = async {
        if terminal {
            return hear(&mut output, &greeted).await;
        }
        Ok(match outlet::carry(output).await? {
            outlet::Ended::Exit(exit) => End::Code(code(&exit)),
            outlet::Ended::Lost(failure) => End::Lost(failure),
        })
    };
    tokio::select! {
        end = hearing => end,
        ended = saying => ended.map(|()| End::Code(ExitCode::SUCCESS)),
        () = signals.next() => Ok(End::Code(ExitCode::from(130))),
    }
}

async fn hear(output: &mut ShellOutput, greeted: &Notify) -> Result<End, Failure> {
    loop {
        let heard = output.next().await;
        greeted.notify_one();
        let written = match heard {
            Heard::Out(bytes) => tokio::task::block_in_place(|| write(&mut io::stdout().lock(), &bytes)),
            Heard::Err(bytes) => tokio::task::block_in_place(|| write(&mut io::stderr().lock(), &bytes)),
            Heard::Ended(exit) => return Ok(End::Code(code(&exit))),
            Heard::Lost(failure) => return Ok(End::Lost(failure)),
        };
        written?;
    }
}

fn write(out: &mut impl Write, bytes: &[u8]) -> Result<(), Failure> {
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| print::unwritable(&error))
}

/// Gives it standard input. Returns when the user ends a login, never otherwise.
async fn say(input: &mut ShellInput, terminal: bool) -> Result<(), Failure> {
    let mut changes = signal(SignalKind::window_change())
        .map_err(|error| Failure::new(FailureKind::Machine, format!("cannot listen for signals: {error}"), ""))?;
    let mut typed = raw::input();
    let mut led = false;
    loop {
        tokio::select! {
            bytes = typed.recv() => match bytes {
                Some(bytes) if terminal => {
                    let (bytes, end) = escaped(&bytes, &mut led);
                    if !bytes.is_empty() {
                        given(input.send(bytes).await).await;
                    }
                    if end {
                        return Ok(());
                    }
                }
                Some(bytes) => given(input.send(bytes).await).await,
                None => {
                    // Whoever reads it there knows that it is over; what it says to that is still to be heard.
                    let _ = input.end().await;
                    std::future::pending::<()>().await;
                }
            },
            _ = changes.recv(), if terminal => {
                let (columns, rows) = raw::size();
                given(input.resize(columns, rows).await).await;
            }
        }
    }
}

/// Where nobody takes it any more, the hearing half is told how it ended.
async fn given(sent: Result<(), Failure>) {
    if sent.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What of the typed goes to the other end, and whether the user has ended the login.
fn escaped(bytes: &[u8], led: &mut bool) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match (std::mem::take(led), *byte) {
            (false, LEADER) => *led = true,
            (false, byte) | (true, byte @ LEADER) => out.push(byte),
            (true, b'x' | b'.') => return (out, true),
            (true, byte) => out.extend([LEADER, byte]),
        }
    }
    (out, false)
}

/// As OpenSSH passes it on; a command that a signal ended, as a shell does.
fn code(exit: &Exit) -> ExitCode {
    match (&exit.status, &exit.signal) {
        (_, Some(name)) => ExitCode::from(128 + number_of(name.as_str())),
        (Some(status), None) => ExitCode::from(u8::try_from(*status & 0xff).unwrap_or(255)),
        (None, None) => ExitCode::from(255),
    }
}

/// The number of a signal (RFC 4254, 6.10, names them without SIG), as it is on Linux.
fn number_of(signal: &str) -> u8 {
    use nix::sys::signal::Signal;
    let known: Option<Signal> = format!("SIG{signal}").parse().ok();
    known.and_then(|known| u8::try_from(known as i32).ok()).unwrap_or(127)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leader_ends_a_login_and_twice_is_itself() {
        let all = |bytes: &[u8]| escaped(bytes, &mut false);
        assert_eq!(all(b"ls\r"), (b"ls\r".to_vec(), false));
        assert_eq!(all(b"a\x1d\x1db"), (b"a\x1db".to_vec(), false));
        assert_eq!(all(b"a\x1dxb"), (b"a".to_vec(), true));
        let mut led = false;
        assert_eq!(escaped(b"\x1d", &mut led), (Vec::new(), false));
        assert_eq!(escaped(b".", &mut led), (Vec::new(), true), "in the next piece, too");
    }

    #[test]
    fn a_command_is_one_word_to_the_shell_there() {
        assert_eq!(in_login_shell("echo 'a b'; $(id)"), r"exec bash -lc 'echo '\''a b'\''; $(id)'");
    }

    #[test]
    fn a_signal_is_told_as_a_shell_does() {
        assert_eq!(number_of("KILL"), 9);
        assert_eq!(number_of("SEGV"), 11);
        assert_eq!(number_of("whatever@openssh.com"), 127);
    }
}
