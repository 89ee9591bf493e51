//! The client under the hand of another program (`tests/peers/test_sshd.py`, `benches/figures/shell.py`): a line of JSON in,
//! a line of JSON out, marked by `@@` among what the test harness prints.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use footplate::model::{Failure, Progress};
use footplate::ssh::{Bounds, Connection, Heard, Manner, Pins, ShellInput, ShellOutput};
use serde::Deserialize;
use serde_json::{Value, json};

use super::door::{Door, login, machine};

/// What to do; `on` names the connection.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Task {
    Open {
        on: String,
        address: std::net::SocketAddr,
        user: String,
        /// Where the pins are.
        folder: PathBuf,
        /// Where introduced keys are put.
        keys: Option<PathBuf>,
        #[serde(default)]
        late: usize,
        #[serde(default)]
        bulk: bool,
    },
    Run {
        on: String,
        command: String,
        input: Option<String>,
    },
    /// Reads what comes first, and listens no more.
    Glimpse {
        on: String,
        command: String,
    },
    /// Reads the output to its end and counts it.
    Pull {
        on: String,
        command: String,
    },
    /// Sends so many bytes.
    Push {
        on: String,
        command: String,
        bytes: usize,
    },
    Shell {
        on: String,
        columns: u16,
        rows: u16,
        command: Option<String>,
    },
    Type {
        text: String,
    },
    Resize {
        columns: u16,
        rows: u16,
    },
    /// Waits until the terminal has shown this since the last such wait.
    Expect {
        text: String,
    },
    /// Waits until the terminal's program ends.
    Finish,
    Put {
        on: String,
        local: PathBuf,
        remote: String,
    },
    Get {
        on: String,
        local: PathBuf,
        remote: String,
    },
    GetFolder {
        on: String,
        local: PathBuf,
        remote: String,
    },
    /// Files and folders to there.
    SendAll {
        on: String,
        from: Vec<PathBuf>,
        to: String,
    },
    /// Files and folders from there.
    FetchAll {
        on: String,
        from: Vec<String>,
        to: PathBuf,
    },
    Ended {
        on: String,
    },
    Close {
        on: String,
    },
    Forget {
        folder: PathBuf,
    },
}

#[derive(Default)]
struct Hands {
    connections: HashMap<String, Connection>,
    shell: Option<(ShellInput, ShellOutput)>,
    shown: Vec<u8>,
}

#[test]
#[ignore = "an entry that tests/peers/test_sshd.py starts"]
fn driven() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut hands = Hands::default();
    println!();
    for line in std::io::stdin().lock().lines() {
        let answer = match serde_json::from_str(&line.unwrap()) {
            // On a worker of the runtime, as `footplate ssh`, `footplate cp` and the cockpit do it.
            Ok(task) => {
                let done = runtime.spawn(async move {
                    let answer = hands.carry_out(task).await;
                    (hands, answer)
                });
                let answer;
                (hands, answer) = runtime.block_on(done).unwrap();
                answer.unwrap_or_else(|failure| told(&failure))
            }
            Err(error) => json!({ "misunderstood": error.to_string() }),
        };
        println!("@@{answer}");
    }
}

fn told(failure: &Failure) -> Value {
    json!({ "failed": format!("{:?}", failure.kind), "what": failure.what, "hint": failure.hint })
}

/// Nanoseconds of CPU that this process has used so far.
fn cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let own: u64 = stat.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0);
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let all: u64 = threads
        .filter_map(|thread| {
            std::fs::read_to_string(thread.path().join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok()
        })
        .sum();
    all.max(own)
}

impl Hands {
    async fn carry_out(&mut self, task: Task) -> Result<Value, Failure> {
        match task {
            Task::Open { on, address, user, folder, keys, late, bulk } => {
                let door = Door { keys, late, ..Door::to(address) };
                let login = footplate::ssh::Login { user, ..login(&folder)? };
                let manner = if bulk { Manner::bulk() } else { Manner::talk() };
                let opened = Connection::open_in(&login, &door, &manner).await;
                let asked: Vec<_> = door.asked().iter().map(|offered| offered.fingerprint.to_string()).collect();
                let mut answer = match opened {
                    Ok(connection) => {
                        let answer = json!({ "server": connection.server(), "banner": connection.banner() });
                        self.connections.insert(on, connection);
                        answer
                    }
                    Err(failure) => told(&failure),
                };
                answer["asked"] = json!(asked);
                answer["introduced"] = json!(door.introduced().len());
                Ok(answer)
            }
            Task::Run { on, command, input } => {
                let ran = self.connections[&on].run(&command, input.map(String::into_bytes)).await?;
                let [out, err] = [ran.out, ran.err].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                Ok(json!({ "status": ran.status, "signal": ran.signal, "out": out, "err": err }))
            }
            Task::Glimpse { on, command } => match self.connections[&on].stream(&command).await?.next().await {
                Heard::Out(data) => Ok(json!({ "out": String::from_utf8_lossy(&data) })),
                other => Ok(json!({ "failed": format!("{other:?}") })),
            },
            Task::Pull { on, command } => {
                let (begun, used, mut bytes) = (Instant::now(), cpu(), 0);
                let mut stream = self.connections[&on].stream(&command).await?;
                loop {
                    match stream.next().await {
                        Heard::Out(data) => bytes += data.len(),
                        Heard::Err(data) => eprintln!("{}", String::from_utf8_lossy(&data)),
                        Heard::Ended(exit) => {
                            let cpu = Duration::from_nanos(cpu() - used).as_secs_f64();
                            return Ok(
                                json!({ "bytes": bytes, "status": exit.status, "seconds": begun.elapsed().as_secs_f64(), "cpu": cpu }),
                            );
                        }
                        Heard::Lost(failure) => return Err(failure),
                    }
                }
            }
            Task::Push { on, command, bytes } => {
                let (begun, used) = (Instant::now(), cpu());
                let bounds = Bounds { time: Duration::from_mins(5), ..Bounds::default() };
                let ran = self.connections[&on].run_within(&command, Some(vec![0; bytes]), bounds).await?;
                let cpu = Duration::from_nanos(cpu() - used).as_secs_f64();
                let out = String::from_utf8_lossy(&ran.out).into_owned();
                Ok(json!({ "out": out, "status": ran.status, "seconds": begun.elapsed().as_secs_f64(), "cpu": cpu }))
            }
            Task::Shell { on, columns, rows, command } => {
                let shell = self.connections[&on].shell("xterm-256color", columns, rows, command.as_deref()).await?;
                self.shell = Some(shell.split());
                Ok(json!({}))
            }
            Task::Type { text } => self.shell().0.send(text.into_bytes()).await.map(|()| json!({})),
            Task::Resize { columns, rows } => self.shell().0.resize(columns, rows).await.map(|()| json!({})),
            Task::Expect { text } => {
                let begun = Instant::now();
                loop {
                    if let Some(at) = self.shown.windows(text.len()).position(|part| part == text.as_bytes()) {
                        // What comes after it is for the next wait.
                        let rest = self.shown.split_off(at + text.len());
                        let shown = std::mem::replace(&mut self.shown, rest);
                        return Ok(json!({ "shown": String::from_utf8_lossy(&shown), "seconds": begun.elapsed().as_secs_f64() }));
                    }
                    match tokio::time::timeout(Duration::from_secs(20), self.shell().1.next()).await {
                        Ok(Heard::Out(data) | Heard::Err(data)) => self.shown.extend_from_slice(&data),
                        other => {
                            let shown = String::from_utf8_lossy(&self.shown);
                            return Ok(json!({ "failed": format!("{other:?}"), "shown": shown }));
                        }
                    }
                }
            }
            Task::Finish => loop {
                match self.shell().1.next().await {
                    Heard::Out(_) | Heard::Err(_) => {}
                    Heard::Ended(exit) => return Ok(json!({ "status": exit.status, "signal": exit.signal })),
                    Heard::Lost(failure) => {
                        return Ok(json!({ "lost": told(&failure), "unanswered": self.shell().0.unanswered() }));
                    }
                }
            },
            Task::Put { on, local, remote } => {
                let files = self.connections[&on].files().await?;
                let meter = Meter::default();
                let size = files.put(&local, &remote, &|progress| meter.note(&progress)).await?;
                Ok(meter.told(size))
            }
            Task::Get { on, local, remote } => {
                let files = self.connections[&on].files().await?;
                let meter = Meter::default();
                let size = files.get(&remote, &local, &|progress| meter.note(&progress)).await?;
                Ok(meter.told(size))
            }
            Task::GetFolder { on, local, remote } => {
                let files = self.connections[&on].files().await?;
                Ok(json!({ "files": files.get_folder(&remote, &local, &|_| ()).await? }))
            }
            Task::SendAll { on, from, to } => {
                Ok(copied(&self.connections[&on].files().await?.send_all(from, &to, &|_| ()).await?))
            }
            Task::FetchAll { on, from, to } => {
                Ok(copied(&self.connections[&on].files().await?.fetch_all(&from, &to, &|_| ()).await?))
            }
            Task::Ended { on } => {
                let begun = Instant::now();
                let mut answer = told(&self.connections[&on].ended().await);
                answer["seconds"] = json!(begun.elapsed().as_secs_f64());
                Ok(answer)
            }
            Task::Close { on } => {
                self.connections.remove(&on);
                Ok(json!({}))
            }
            Task::Forget { folder } => Ok(json!({ "forgot": Pins::open(folder.join("host-keys.json"))?.forget(&machine())? })),
        }
    }

    fn shell(&mut self) -> &mut (ShellInput, ShellOutput) {
        self.shell.as_mut().expect("a shell was opened")
    }
}

/// What a transfer told of its progress, and what it took.
struct Meter {
    begun: Instant,
    used: u64,
    first: Mutex<Option<u64>>,
}

impl Default for Meter {
    fn default() -> Self {
        Self { begun: Instant::now(), used: cpu(), first: Mutex::default() }
    }
}

impl Meter {
    fn note(&self, progress: &Progress) {
        self.first.lock().unwrap().get_or_insert(progress.done);
    }

    fn told(&self, size: u64) -> Value {
        let cpu = Duration::from_nanos(cpu() - self.used).as_secs_f64();
        json!({ "size": size, "from": *self.first.lock().unwrap(), "seconds": self.begun.elapsed().as_secs_f64(), "cpu": cpu })
    }
}

fn copied(copied: &footplate::ssh::Copied) -> Value {
    json!({ "sent": copied.done.sent, "unchanged": copied.done.unchanged, "left_out": copied.left_out.len() })
}
