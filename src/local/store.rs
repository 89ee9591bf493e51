//! What every service's SQLite file has in common.

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode};

/// One SQLite file, behind one lock: the region has a single process (its folder is locked) and short transactions.
pub struct Store(Mutex<Connection>);

impl Store {
    /// Opens or creates the file and applies the schema, which must be written so that it can be applied again.
    ///
    /// WAL with `synchronous = NORMAL`: a killed process loses nothing that was committed; only a crash of the whole
    /// machine can lose the last commits, and never tears the file.
    ///
    /// # Errors
    /// When the file cannot be opened, is no database, or was written by a newer version of the program.
    pub fn open(path: &Path, schema: &str, version: i32) -> io::Result<Self> {
        let connection = Connection::open(path).map_err(io_error)?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(io_error)?;
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;")
            .map_err(io_error)?;
        let found: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(io_error)?;
        if found > version {
            let text = format!(
                "{} has format {found} and this program knows {version}: use a newer footplate, or `footplate local reset`",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        connection.execute_batch(schema).map_err(io_error)?;
        connection.pragma_update(None, "user_version", version).map_err(io_error)?;
        Ok(Self(Mutex::new(connection)))
    }

    /// The connection, for as long as the guard lives. A panic of an earlier holder is no reason to stop: SQLite rolled
    /// its transaction back.
    pub fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SQLite's errors as the system's; a full disk keeps its kind.
#[allow(clippy::needless_pass_by_value, reason = "it is the argument of map_err everywhere")]
pub fn io_error(error: rusqlite::Error) -> io::Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => io::ErrorKind::StorageFull,
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => io::ErrorKind::InvalidData,
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error.to_string())
}

/// Milliseconds since the epoch, now.
pub fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Sixteen random bytes in hexadecimal: names of files, uploads and requests.
///
/// # Errors
/// When the system has no randomness to give.
pub fn random_name() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(hex::encode(bytes))
}
