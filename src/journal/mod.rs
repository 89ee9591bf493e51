//! What footplate is about to do to AWS, written down before it is sent.
//!
//! Every mutating call is noted durably (SQLite, write-ahead log, `synchronous=FULL`) before its request leaves and settled
//! when its answer is known. A process that dies in between leaves an *open* intent: the call may or may not have
//! happened. `footplate doctor` lists these and, where the service can tell, closes them. If the journal cannot be
//! written, nothing is sent: no journal, no launch.
//!
//! Each row carries mode, account and region, so an intent noted on the local region can never be taken for one on AWS.
//! Several processes may share the file; each row carries the number of the process that wrote it.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, params};

use crate::model::{Failure, FailureKind, Intent, Ledger, Settled};

/// "foot" in ASCII: marks the file as ours, so that another program's database is not taken for a journal.
const APPLICATION: i32 = 0x666f_6f74;
/// The layout of [`SCHEMA`]; raised when it changes.
const VERSION: i32 = 1;
/// How long to wait for another process that is writing.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to rest where SQLite will not wait by itself.
const AGAIN: Duration = Duration::from_millis(5);

/// Closing any handle of a file drops all of a process's POSIX locks on it, SQLite's among them: so we open the file
/// ourselves only to make it, and one thread at a time.
static OPENING: Mutex<()> = Mutex::new(());

const SCHEMA: &str = "
    CREATE TABLE intent (
        number    INTEGER PRIMARY KEY AUTOINCREMENT,
        at        TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
        process   INTEGER NOT NULL,
        ord       TEXT NOT NULL,
        service   TEXT NOT NULL,
        operation TEXT NOT NULL,
        token     TEXT NOT NULL,
        request   TEXT NOT NULL,
        mode      TEXT NOT NULL,
        account   TEXT NOT NULL,
        region    TEXT NOT NULL,
        state     TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'refused', 'unknown', 'closed')),
        said      TEXT NOT NULL DEFAULT '',
        settled   TEXT
    );
    CREATE INDEX unsettled ON intent (number) WHERE state IN ('open', 'unknown');
";

/// An intent whose end is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    pub number: i64,
    /// When it was noted: RFC 3339, UTC.
    pub at: String,
    /// The process that noted it is still there, so the call may simply be under way.
    pub under_way: bool,
    /// What was heard of it, e.g. "timed out"; empty when the process died before it heard anything.
    pub said: String,
    pub intent: Intent,
}

/// The journal on its file.
pub struct Journal {
    path: PathBuf,
    db: Mutex<Connection>,
}

impl Journal {
    /// Opens the journal, making it (0600) when there is none. The folder must exist.
    ///
    /// # Errors
    /// `Refused` when the file cannot be opened or written, is damaged, or was written by a newer footplate.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let refused = |error: &dyn std::fmt::Display| refused(path, error);
        let _turn = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
        // SQLite makes the file and its companions with the mode of the main file; so that one is made first.
        match std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(refused(&error)),
            _ => {}
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut db = Connection::open_with_flags(path, flags).map_err(|error| refused(&error))?;
        prepare(&mut db).map_err(|reason| refused(&reason))?;
        Ok(Self { path: path.to_owned(), db: Mutex::new(db) })
    }

    /// Intents whose end is not known, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn unsettled(&self) -> Result<Vec<Open>, Failure> {
        let read = || -> rusqlite::Result<Vec<Open>> {
            let db = self.db();
            let mut query = db.prepare(
                "SELECT number, at, process, state, said, ord, service, operation, token, request, mode, account, region
                 FROM intent WHERE state IN ('open', 'unknown') ORDER BY number",
            )?;
            let rows = query.query_map([], |row| {
                Ok(Open {
                    number: row.get(0)?,
                    at: row.get(1)?,
                    under_way: row.get::<_, String>(3)? == "open" && is_alive(row.get(2)?),
                    said: row.get(4)?,
                    intent: Intent {
                        order: row.get(5)?,
                        service: row.get(6)?,
                        operation: row.get(7)?,
                        token: row.get(8)?,
                        request: row.get(9)?,
                        mode: row.get(10)?,
                        account: row.get(11)?,
                        region: row.get(12)?,
                    },
                })
            })?;
            rows.collect()
        };
        read().map_err(|error| refused(&self.path, &error))
    }

    /// Takes an intent off the list without knowing how it ended, because someone looked into it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn close(&self, number: i64, said: &str) -> Result<(), Failure> {
        self.set(number, "closed", said).map_err(|error| refused(&self.path, &error))
    }

    fn set(&self, number: i64, state: &str, said: &str) -> rusqlite::Result<()> {
        let change = "UPDATE intent SET state = ?2, said = ?3, settled = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE number = ?1";
        self.db().execute(change, params![number, state, said]).map(|_| ())
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere leaves at worst a transaction that SQLite rolls back.
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for Journal {
    fn intend(&self, intent: &Intent) -> Result<i64, Failure> {
        let write = || -> rusqlite::Result<i64> {
            let db = self.db();
            db.execute(
                "INSERT INTO intent (process, ord, service, operation, token, request, mode, account, region) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    std::process::id(),
                    intent.order,
                    intent.service,
                    intent.operation,
                    intent.token,
                    intent.request,
                    intent.mode,
                    intent.account,
                    intent.region
                ],
            )?;
            Ok(db.last_insert_rowid())
        };
        write().map_err(|error| refused(&self.path, &error))
    }

    fn settle(&self, number: i64, settled: &Settled) {
        let written = match settled {
            Settled::Done => self.set(number, "done", ""),
            Settled::Refused(said) => self.set(number, "refused", said),
            Settled::Unknown(said) => self.set(number, "unknown", said),
        };
        if let Err(error) = written {
            tracing::error!(number, %error, "the journal could not note how a call ended");
        }
    }
}

/// Sets the connection up and makes or checks the schema; the error is a sentence.
fn prepare(db: &mut Connection) -> Result<(), String> {
    let said = |error: rusqlite::Error| error.to_string();
    db.busy_timeout(PATIENCE).map_err(said)?;
    write_ahead(db).map_err(said)?;
    db.pragma_update(None, "synchronous", "FULL").map_err(said)?;
    // Two processes may come to an empty file at once: the second waits here and finds the schema made.
    let change = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(said)?;
    let number = |name: &str| change.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(said);
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = change.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(said)?;
    match (application, version) {
        (0, 0) if tables == 0 => {
            change.execute_batch(SCHEMA).map_err(said)?;
            change.pragma_update(None, "application_id", APPLICATION).map_err(said)?;
            change.pragma_update(None, "user_version", VERSION).map_err(said)?;
        }
        (APPLICATION, VERSION) => {}
        (APPLICATION, newer) if newer > VERSION => return Err("it was written by a newer footplate".to_owned()),
        _ => return Err("it is not a journal of footplate".to_owned()),
    }
    change.commit().map_err(said)?;
    let check: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(said)?;
    if check == "ok" { Ok(()) } else { Err(format!("it is damaged: {check}")) }
}

/// Turns the write-ahead log on. SQLite does not wait where two processes do this to a new file at once, since both hold a
/// lock that the other one needs: it says `SQLITE_BUSY` to one of them, which has to come again.
fn write_ahead(db: &Connection) -> rusqlite::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match db.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < deadline => {
                std::thread::sleep(AGAIN);
            }
            done => return done,
        }
    }
}

/// Whether a process of that number exists; another one may have taken the number since, which only delays the question.
fn is_alive(process: i32) -> bool {
    process > 0 && !matches!(nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), None), Err(nix::errno::Errno::ESRCH))
}

fn refused(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        FailureKind::Refused,
        format!("the journal {} cannot be used: {error}", path.display()),
        format!(
            "Without it nothing is sent that changes AWS. Free the disk or make it writable; if it is damaged, move it away: mv {0} {0}.old",
            path.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn intent(token: &str) -> Intent {
        Intent {
            order: "order-1".to_owned(),
            service: "sagemaker".to_owned(),
            operation: "CreateTrainingJob".to_owned(),
            token: token.to_owned(),
            request: "{}".to_owned(),
            mode: "local".to_owned(),
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
        }
    }

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sqlite");
        (folder, path)
    }

    #[test]
    fn what_was_sent_and_never_settled_is_found_after_reopening() {
        let (_folder, path) = place();
        let journal = Journal::open(&path).unwrap();
        let numbers: Vec<i64> = ["a", "b", "c", "d"].iter().map(|token| journal.intend(&intent(token)).unwrap()).collect();
        journal.settle(numbers[0], &Settled::Done);
        journal.settle(numbers[1], &Settled::Refused("ValidationException".to_owned()));
        journal.settle(numbers[2], &Settled::Unknown("timed out".to_owned()));
        drop(journal);

        let open = Journal::open(&path).unwrap().unsettled().unwrap();
        let seen: Vec<_> = open.iter().map(|open| (open.intent.token.as_str(), open.said.as_str(), open.under_way)).collect();
        assert_eq!(seen, [("c", "timed out", false), ("d", "", true)], "this process is alive, so d may be under way");
        assert_eq!(open[1].intent, intent("d"));
    }

    #[test]
    fn an_intent_of_a_dead_process_is_not_under_way() {
        let (_folder, path) = place();
        let journal = Journal::open(&path).unwrap();
        let number = journal.intend(&intent("a")).unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        journal.db().execute("UPDATE intent SET process = ?1", [child.id()]).unwrap();
        assert!(!journal.unsettled().unwrap()[0].under_way);
        journal.close(number, "looked into").unwrap();
        assert_eq!(journal.unsettled().unwrap(), []);
    }

    #[test]
    fn the_file_is_private() {
        let (folder, path) = place();
        let journal = Journal::open(&path).unwrap();
        journal.intend(&intent("a")).unwrap();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        }
    }

    #[test]
    fn two_may_share_it() {
        let (_folder, path) = place();
        let all: Vec<_> = (0..4)
            .map(|writer| {
                let path = path.clone();
                std::thread::spawn(move || {
                    let journal = Journal::open(&path).unwrap();
                    for call in 0..25 {
                        journal.intend(&intent(&format!("{writer}-{call}"))).unwrap();
                    }
                })
            })
            .collect();
        for thread in all {
            thread.join().unwrap();
        }
        assert_eq!(Journal::open(&path).unwrap().unsettled().unwrap().len(), 100);
    }

    #[test]
    fn a_torn_foreign_or_newer_file_is_refused() {
        let (_folder, path) = place();
        let journal = Journal::open(&path).unwrap();
        for call in 0..200 {
            journal.intend(&intent(&format!("{call}-{}", "x".repeat(300)))).unwrap();
        }
        journal.db().pragma_update(None, "wal_checkpoint", "TRUNCATE").ok();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();

        let mut torn = whole.clone();
        torn.truncate(whole.len() / 2);
        let mut smashed = whole.clone();
        smashed[..100].fill(0x55);
        for bad in [torn, smashed] {
            std::fs::write(&path, bad).unwrap();
            let failure = Journal::open(&path).err().expect("a damaged file must not open");
            assert_eq!((failure.kind, failure.exit_code()), (FailureKind::Refused, 3));
        }

        std::fs::write(&path, &whole).unwrap();
        Connection::open(&path).unwrap().pragma_update(None, "user_version", VERSION + 1).unwrap();
        assert!(Journal::open(&path).err().unwrap().what.as_str().contains("newer"));

        std::fs::remove_file(&path).unwrap();
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE other (x)").unwrap();
        assert!(Journal::open(&path).err().unwrap().what.as_str().contains("not a journal"));
    }

    #[test]
    fn a_torn_last_write_loses_nothing_older() {
        let (_folder, path) = place();
        let journal = Journal::open(&path).unwrap();
        journal.intend(&intent("first")).unwrap();
        journal.intend(&intent("second")).unwrap();
        // As after a power cut: the main file and a log whose last frame is cut, without the process having closed them.
        let copy = path.with_file_name("copy.sqlite");
        std::fs::copy(&path, &copy).unwrap();
        let log = std::fs::read(path.with_file_name("journal.sqlite-wal")).unwrap();
        std::fs::write(path.with_file_name("copy.sqlite-wal"), &log[..log.len() - 100]).unwrap();
        let open = Journal::open(&copy).unwrap().unsettled().unwrap();
        assert_eq!(open.iter().map(|open| open.intent.token.as_str()).collect::<Vec<_>>(), ["first"]);
    }
}
