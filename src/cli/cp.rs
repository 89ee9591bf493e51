//! `footplate cp FROM... TO`: files and folders to an instance, or from it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use super::globals::Globals;
use super::login::{self, Wanted};
use super::session::{Purpose, Session};
use super::signals::Signals;
use super::{json, print};
use crate::model::{Done, Failure, FailureKind, Progress, command, show};
use crate::ssh::{Copied, Lack, Manner};

/// Lines about what could not be copied: what a terminal that scrolls back holds easily.
const SAID: usize = 200;

/// Arguments of `cp`.
#[derive(clap::Args)]
#[command(
    after_help = "One side is on an instance: INSTANCE:PATH, where PATH is relative to the home folder there (so is ~/PATH), and \
    nothing is the home folder itself. A file here whose name has a colon is written ./NAME.\n\
    As with rsync, FOLDER goes to TO/FOLDER, with all that is in it, and FOLDER/ is what is in it. TO is a folder, made if it is \
    missing, when it ends in /, is one, or is to have several files; else it is the one file's new name.\n\
    What is there already with the same size and time of change is not copied again. What broke off, or was ended by Ctrl-C, is \
    continued by the same command: a file has its name only once it is complete. Permissions come along as far as the umask \
    lets them, times of change too. Links and devices in folders are left out, and links that are named are followed. What \
    cannot be copied is left out by name, the rest is copied, and the exit code is 1: names with a control character, that are \
    not UTF-8 or too long, what may not be read, what something else is in the way of, what another copy is writing. --json names \
    all of it, with the reasons.\n\
    While it is on its way, a file is NAME.SIZE-TIME.part beside its place (a long NAME is cut and gets ~HASH), SIZE and TIME \
    being those of what it is a copy of, in hexadecimal. Parts of another state of a file in this copy, or of one that is \
    complete, are removed first. Parts of files that are not in this copy stay where they are and are named in the end: \
    remove them, or copy those files again. A disk that is full here leaves its part to be continued; a disk that is full \
    there, none. Only one copy at a time writes a file: another one leaves it out and says so, and goes on with a part as soon \
    as nobody writes it any more (on an instance it watches one that was written a minute ago for some seconds).\n\n\
    Examples:\n  footplate cp solution.py data/ experiment:work/\n  footplate cp experiment:work/TrainedModels ."
)]
pub struct Args {
    /// What to copy, here or INSTANCE:PATH; and last where to
    #[arg(value_names = ["FROM", "TO"], num_args = 2.., required = true)]
    paths: Vec<String>,
    /// Folders with all that is in them; that is so anyway
    #[arg(long, short)]
    recursive: bool,
    /// Take the instance's host key if it has this fingerprint
    #[arg(long, value_name = "SHA256:…", value_parser = login::fingerprint)]
    accept_host_key: Option<String>,
    /// Print JSON: one object, with everything that was left out and why
    #[arg(long)]
    json: bool,
}

/// Copies.
///
/// # Errors
/// When neither or both sides are on an instance, something is not there, the instance cannot be reached, a name from there
/// would leave the target, or as the line and the disks say.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let copy = Copy::of(&args.paths)?;
    let recipe = globals.recipe_or_bare()?;
    // What is put on a machine changes it; what is fetched does not.
    let purpose = if copy.sends { Purpose::Change } else { Purpose::Look };
    let session = Session::open(globals, purpose, Some(&recipe)).await?;
    let done = copy.run(&session, args).await;
    let copied = session.end(done).await?;
    if args.json {
        json::print(&copy.as_json(&copied))?;
    } else if copied.names_some_only() {
        tell_each(&copied);
    }
    let said = copied.whole()?.told();
    if !args.json {
        print::line(&said)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything that was to be copied and was not, where there is more of it than the message in the end names.
fn tell_each(copied: &Copied) {
    let failed = copied.failed.iter().map(|lack| lack.failure.what.to_string());
    let unfit = copied.unfit.iter().map(|one| format!("{} {}", one.place, one.flaw.told()));
    for said in failed.chain(unfit).take(SAID) {
        print::progress(&format!("left out: {said}"));
    }
    let more = (copied.failed.len() + copied.unfit.len()).saturating_sub(SAID);
    if more > 0 {
        print::progress(&format!("left out: {} more, which --json names", show::grouped(more as u64)));
    }
}

fn called_off() -> Failure {
    Failure::new(
        FailureKind::Cancelled,
        "the copy was called off",
        "what is complete stays; the same command again continues with the rest",
    )
}

/// What is to be copied, in which direction.
#[derive(Debug, PartialEq, Eq)]
struct Copy<'a> {
    instance: &'a str,
    /// Without the instance.
    from: Vec<&'a str>,
    to: &'a str,
    /// To the instance.
    sends: bool,
}

impl<'a> Copy<'a> {
    fn of(paths: &'a [String]) -> Result<Self, Failure> {
        let invalid = |what: &str, hint: &str| Err(Failure::new(FailureKind::Invalid, what, hint));
        let Some((to, from)) = paths.split_last().filter(|(_, from)| !from.is_empty()) else {
            return invalid(
                "what is to be copied, or where to, is not named",
                &format!("{}, one side as INSTANCE:PATH", command("cp FROM… TO")),
            );
        };
        let places: Vec<_> = from.iter().map(|path| place(path)).collect();
        match place(to) {
            (Some(_), _) if places.iter().any(|(instance, _)| instance.is_some()) => {
                invalid("both sides are on instances", "copy it here first, and from here to the other one")
            }
            (Some(instance), to) => {
                Ok(Self { instance, from: places.into_iter().map(|(_, path)| path).collect(), to, sends: true })
            }
            (None, to) => match places[0].0 {
                Some(instance) if places.iter().all(|(other, _)| *other == Some(instance)) => {
                    Ok(Self { instance, from: places.into_iter().map(|(_, path)| path).collect(), to, sends: false })
                }
                Some(_) => invalid("not all of it is on the same instance", "copy from one instance at a time"),
                None if places.iter().any(|(instance, _)| instance.is_some()) => {
                    invalid("some of it is on an instance, and some is here", "copy the one after the other")
                }
                None => invalid(
                    "neither side is on an instance",
                    "write INSTANCE:PATH for what is on one; footplate upload and download are for S3",
                ),
            },
        }
    }

    /// What came of it, with all that was left out, and why.
    fn as_json(&self, copied: &Copied) -> Value {
        let Done { sent, bytes, unchanged, continued } = copied.done;
        let specials = copied.left_out.iter().chain(&copied.unfit);
        let specials = specials.map(|one| json!({ "path": one.place, "reason": one.flaw.told() }));
        let failed = copied.failed.iter();
        let failed = failed.map(|Lack { place, failure }| json!({ "path": place, "reason": failure.what, "hint": failure.hint }));
        json!({
            "instance": self.instance, "from": self.from, "to": self.to,
            "copied": sent, "bytes": bytes, "unchanged": unchanged, "continued": continued,
            "complete": copied.failed.is_empty() && copied.unfit.is_empty(),
            "left_out": specials.chain(failed).collect::<Vec<_>>(),
            "cleared": copied.cleared, "strays": copied.strays, "said": copied.told(),
        })
    }

    async fn run(&self, session: &Session, args: &Args) -> Result<Copied, Failure> {
        let accepted = args.accept_host_key.as_deref();
        let wanted = Wanted { instance: self.instance, accepted, renews: false, manner: Manner::bulk() };
        let files = login::connect(session, &wanted).await?.files().await?;
        let shows = print::has_ticker();
        let progress = move |progress: Progress| {
            if !shows {
                return;
            }
            let share = progress.done.saturating_mul(100).checked_div(progress.total);
            print::ticker(&share.map_or_else(|| progress.said.to_string(), |share| format!("{share:>3} % · {}", progress.said)));
        };
        let (from, to, sends) =
            (self.from.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>(), self.to.to_owned(), self.sends);
        // On a worker, as the connection is: what the two tell each other wakes no other thread.
        let work = AbortOnDropHandle::new(tokio::spawn(async move {
            if sends {
                files.send_most(from.into_iter().map(PathBuf::from).collect(), &to, &progress).await
            } else {
                files.fetch_most(&from, Path::new(&to), &progress).await
            }
        }));
        let broken = |error| Failure::new(FailureKind::Machine, format!("copying: {error}"), "the same again continues it");
        let work = async { work.await.map_err(broken)? };
        // Not before: while the user is asked about a host key, Ctrl-C ends the program.
        Signals::listen()?.or(called_off(), work).await
    }
}

/// As scp has it: what stands before a colon is a machine, unless a slash comes before that.
fn place(text: &str) -> (Option<&str>, &str) {
    match text.split_once(':') {
        Some((instance, path)) if !instance.is_empty() && !instance.contains('/') => (Some(instance), path),
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> Result<(String, Vec<String>, String, bool), String> {
        let paths: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let copy = Copy::of(&paths).map_err(|failure| failure.what.as_str().to_owned())?;
        let from = copy.from.iter().map(|path| (*path).to_owned()).collect();
        Ok((copy.instance.to_owned(), from, copy.to.to_owned(), copy.sends))
    }

    #[test]
    fn one_side_is_on_an_instance() {
        let told = |instance: &str, from: &[&str], to: &str, sends| {
            Ok((instance.to_owned(), from.iter().map(|path| (*path).to_owned()).collect(), to.to_owned(), sends))
        };
        assert_eq!(of("a b/ i-1:~/work/"), told("i-1", &["a", "b/"], "~/work/", true));
        assert_eq!(of("./a:b i-1:"), told("i-1", &["./a:b"], "", true));
        assert_eq!(of("i-1:a i-1:/b:c ."), told("i-1", &["a", "/b:c"], ".", false));
        for (words, part) in [
            ("a b", "neither side"),
            ("i-1:a i-2:b", "both sides"),
            ("i-1:a i-2:b .", "the same instance"),
            ("a i-2:b .", "some is here"),
            ("i-1:a b .", "the same instance"),
            (":a b", "neither side"),
        ] {
            assert!(of(words).unwrap_err().contains(part), "{words}: {:?}", of(words));
        }
    }
}
