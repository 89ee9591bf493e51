//! The region's end of an instance's keeper: processes are started, signalled and waited for through it.

use std::collections::HashMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

use super::init::{End, Event, Order, Start, Wiring};
use crate::local::engine::keeper;

/// The variable with the machine's mark: its processes are known by it when the keeper itself was killed.
const MARK: &str = "FOOTPLATE_MACHINE";

/// A running machine.
pub struct Machine {
    orders: tokio::sync::Mutex<Option<ChildStdin>>,
    child: tokio::sync::Mutex<Option<Child>>,
    waiting: Arc<Waiting>,
    next: AtomicU64,
    mark: String,
}

type Waiting = Mutex<HashMap<u64, Waiter>>;

/// Who waits for news of a process.
struct Waiter {
    started: Option<oneshot::Sender<io::Result<()>>>,
    ended: oneshot::Sender<End>,
}

/// A process in the machine.
pub struct Process {
    id: u64,
    ended: oneshot::Receiver<End>,
}

impl Process {
    /// The number by which [`Machine::signal`] knows it.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Waits for its end. A process whose machine ended was killed.
    pub async fn ended(&mut self) -> End {
        (&mut self.ended).await.unwrap_or(End::Signal(nix::sys::signal::Signal::SIGKILL as i32, false))
    }
}

impl Machine {
    /// Starts the keeper. It gets its own process group, so that a Ctrl-C in the region's terminal does not reach it, and
    /// nothing of the region's environment.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(keeper: &Path, mark: String) -> io::Result<Self> {
        let mut child = Command::new(keeper)
            .args(["local", "machine"])
            .env_clear()
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let no_pipe = || io::Error::other("no pipe to the keeper");
        let orders = child.stdin.take().ok_or_else(no_pipe)?;
        let events = child.stdout.take().ok_or_else(no_pipe)?;
        let waiting = Arc::new(Waiting::default());
        tokio::spawn(hear(events, Arc::clone(&waiting)));
        Ok(Self {
            orders: tokio::sync::Mutex::new(Some(orders)),
            child: tokio::sync::Mutex::new(Some(child)),
            waiting,
            next: AtomicU64::new(1),
            mark,
        })
    }

    /// Starts a process and returns when its streams are open.
    ///
    /// # Errors
    /// When the machine has ended or its keeper refuses.
    pub async fn run(
        &self,
        argv: Vec<String>,
        mut env: Vec<(String, String)>,
        cwd: PathBuf,
        wiring: Wiring,
    ) -> io::Result<Process> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        env.push((MARK.to_owned(), self.mark.clone()));
        let (started, start) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        self.waiters().insert(id, Waiter { started: Some(started), ended: end });
        let ordered = self.order(&Order::Start(Start { id, argv, env, cwd, wiring })).await;
        if let Err(error) = ordered {
            self.waiters().remove(&id);
            return Err(error);
        }
        start.await.map_err(|_| gone())??;
        Ok(Process { id, ended })
    }

    /// Sends a signal to the process group of a process; nothing happens when it has ended.
    pub async fn signal(&self, id: u64, signal: i32) {
        self.order(&Order::Signal { id, signal }).await.ok();
    }

    /// Kills everything in the machine; returns when nothing is left.
    pub async fn end(&self) {
        drop(self.orders.lock().await.take());
        let Some(mut child) = self.child.lock().await.take() else { return };
        let status = child.wait().await;
        if status.is_ok_and(|status| status.signal().is_some()) {
            let mark = self.mark.clone();
            tokio::task::spawn_blocking(move || keeper::kill_marked(MARK, &mark)).await.ok();
        }
    }

    async fn order(&self, order: &Order) -> io::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        self.orders.lock().await.as_mut().ok_or_else(gone)?.write_all(&line).await
    }

    fn waiters(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Waiter>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gone() -> io::Error {
    io::Error::other("the machine has ended")
}

/// Passes the keeper's news on; at the end of the keeper nobody is left waiting.
async fn hear(events: ChildStdout, waiting: Arc<Waiting>) {
    let mut lines = BufReader::new(events).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match serde_json::from_str(&line) {
            Ok(Event::Started { id }) => {
                if let Some(started) = waiting.get_mut(&id).and_then(|waiter| waiter.started.take()) {
                    let _ = started.send(Ok(()));
                }
            }
            Ok(Event::Refused { id, why }) => {
                if let Some(started) = waiting.remove(&id).and_then(|waiter| waiter.started) {
                    let _ = started.send(Err(io::Error::other(why)));
                }
            }
            Ok(Event::Ended { id, end }) => {
                if let Some(waiter) = waiting.remove(&id) {
                    let _ = waiter.ended.send(end);
                }
            }
            Err(_) => break,
        }
    }
    waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
}
