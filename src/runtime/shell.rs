//! Terminals on machines: one task for each, from the way there to the last byte. What it shows goes through a bounded
//! channel into the loop; while that is full the other end waits, so nothing is lost and nothing piles up.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{self, Sender, UnboundedReceiver, UnboundedSender};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::hands::{known, order_number, recipe};
use super::held::{self, Held, Said};
use super::remote::{self, Plan, Pulse, TERM};
use crate::app::Event;
use crate::app::shell::talk::{Attach, News, Opened, Raw, Stranger, Wish};
use crate::aws::{Aws, with_order};
use crate::model::{Failure, ItemId, Safe};
use crate::resource::{self, Ask};
use crate::ssh::{Connection, Doorman, Exit, Heard, Job, Offered, Route, ShellInput};

/// Most bytes of one event: the screen gets its turn in between.
const PIECE: usize = 64 * 1024;
/// How long a prompt is waited for.
const GREETING: Duration = Duration::from_secs(3);
/// So long after its last byte the prompt stands; what is typed before is shown twice.
const QUIET: Duration = Duration::from_millis(250);
/// How long it may take to let go of what goes on.
const LETTING_GO: Duration = Duration::from_secs(1);
/// How long the farewell of a session may take.
const FAREWELL: Duration = Duration::from_secs(3);

/// All sessions.
pub struct Shells {
    aws: Arc<Aws>,
    project: PathBuf,
    events: UnboundedSender<Event>,
    heard: Sender<Event>,
    open: HashMap<u64, Open>,
    tasks: JoinSet<()>,
}

/// A session's task.
struct Open {
    says: UnboundedSender<Say>,
    trust: Trust,
}

/// Where the answer about a host key is waited for.
type Trust = Arc<Mutex<Option<oneshot::Sender<bool>>>>;

/// What a session is told.
enum Say {
    Bytes(Vec<u8>),
    /// Told back when it has been taken.
    Piece(Vec<u8>),
    Resize(u16, u16),
    End,
}

impl Shells {
    pub fn new(aws: Arc<Aws>, project: PathBuf, events: UnboundedSender<Event>, heard: Sender<Event>) -> Self {
        Self { aws, project, events, heard, open: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Starts what is wished; never waits.
    pub fn carry_out(&mut self, session: u64, wish: Wish) {
        while self.tasks.try_join_next().is_some() {}
        let say = match wish {
            Wish::Open { resource, id, size, attach } => return self.start(session, resource, id, size, attach),
            Wish::Trust(answer) => {
                let asked = self.open.get(&session).map(|open| Arc::clone(&open.trust));
                let waiting = asked.and_then(|trust| trust.lock().unwrap_or_else(PoisonError::into_inner).take());
                // Who asked may have given up meanwhile.
                waiting.map(|waiting| waiting.send(answer));
                return;
            }
            Wish::Send(Raw(bytes)) => Say::Bytes(bytes),
            Wish::Piece(Raw(bytes)) => Say::Piece(bytes),
            Wish::Resize(columns, rows) => Say::Resize(columns, rows),
            Wish::End => {
                if let Some(open) = self.open.remove(&session) {
                    let _ = open.says.send(Say::End);
                }
                return;
            }
        };
        if let Some(open) = self.open.get(&session) {
            let _ = open.says.send(say);
        }
    }

    fn start(&mut self, session: u64, resource: String, id: ItemId, size: (u16, u16), attach: Attach) {
        let (says, told) = mpsc::unbounded_channel();
        let trust = Trust::default();
        let line = Line {
            session,
            aws: Arc::clone(&self.aws),
            project: self.project.clone(),
            events: self.events.clone(),
            heard: self.heard.clone(),
            trust: Arc::clone(&trust),
        };
        // One that is opened again replaces what was.
        self.open.insert(session, Open { says, trust });
        self.tasks.spawn(line.run(resource, id, size, attach, told));
    }

    /// Hangs up. What runs under tmux goes on.
    pub async fn leave(&mut self) {
        self.open.clear();
        let farewell = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout(FAREWELL, farewell).await;
        self.tasks.abort_all();
    }
}

/// What a session's task has in hand.
#[derive(Clone)]
struct Line {
    session: u64,
    aws: Arc<Aws>,
    project: PathBuf,
    events: UnboundedSender<Event>,
    heard: Sender<Event>,
    trust: Trust,
}

impl Line {
    /// From the way there to the end.
    async fn run(self, resource: String, id: ItemId, mut size: (u16, u16), attach: Attach, mut says: UnboundedReceiver<Say>) {
        let mut connecting = self.clone().connect(resource, id, attach);
        let connected = loop {
            tokio::select! {
                connected = &mut connecting => break connected,
                say = says.recv() => match say {
                    Some(Say::Resize(columns, rows)) => size = (columns, rows),
                    Some(Say::Bytes(_) | Say::Piece(_)) => {}
                    Some(Say::End) | None => return,
                },
            }
        };
        let done = match connected {
            Ok(connected) => self.talk(connected, size, &mut says).await,
            Err(failure) => Some(News::Lost { failure, unanswered: Raw(Vec::new()) }),
        };
        if let Some(news) = done {
            self.tell(news).await;
        }
    }

    /// Under an order of its own, as a key is announced.
    fn connect(self, resource: String, id: ItemId, attach: Attach) -> Job<'static, Connected> {
        Box::pin(with_order(order_number(), async move { self.connected(&resource, id, &attach).await }))
    }

    async fn connected(self, resource: &str, id: ItemId, attach: &Attach) -> Result<Connected, Failure> {
        self.tell(News::Said("finding the machine".into())).await;
        let door = known(resource)?.door(Arc::clone(&self.aws), id, self.ask()).await?;
        let usher = Usher { doorman: door.doorman, line: self.clone() };
        let connection = Connection::open(&door.login, &usher).await?;
        self.tell(News::Said("opening a terminal".into())).await;
        let wanted = if let Attach::Again(name) = attach { Some(name.as_str()) } else { None };
        let plan = remote::plan(&connection, wanted, *attach == Attach::New).await?;
        // What goes on there has been set up already.
        let again = plan.held.as_ref().is_some_and(|held| held.again);
        let enter = if again { None } else { resource::activation(&connection, &self.environment()).await };
        Ok(Connected { connection, plan, title: door.title, enter })
    }

    /// The environment that the project trains in, else the one that deep learning images have.
    fn environment(&self) -> String {
        let instance = recipe(&self.project).ok().and_then(|recipe| recipe.instance);
        instance.map_or_else(|| "pytorch".to_owned(), |instance| instance.run.environment)
    }

    /// Asks the user whether to trust a host key, and waits for the answer.
    fn ask(&self) -> Ask {
        let (session, heard, trust) = (self.session, self.heard.clone(), Arc::clone(&self.trust));
        Arc::new(move |offered: Offered| {
            let (answer, answered) = oneshot::channel();
            *trust.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
            let heard = heard.clone();
            Box::pin(async move {
                let stranger = Stranger {
                    machine: Safe::line(&offered.machine.to_string()),
                    algorithm: offered.algorithm,
                    fingerprint: offered.fingerprint,
                    because: offered.known,
                };
                let asked = heard.send(Event::Shell { session, news: News::Stranger(stranger) }).await;
                asked.is_ok() && answered.await.unwrap_or(false)
            })
        })
    }

    /// Carries bytes both ways until one end has enough; what is to be told of how it ended.
    async fn talk(&self, connected: Connected, size: (u16, u16), says: &mut UnboundedReceiver<Say>) -> Option<News> {
        let Connected { connection, plan, title, mut enter } = connected;
        let held = plan.held;
        let opened = match &held {
            Some(holder) => connection.pipe(&holder.command).await,
            None => connection.shell(TERM, size.0, size.1, None).await,
        };
        let shell = match opened {
            Ok(shell) => shell,
            Err(failure) => return Some(News::Lost { failure, unanswered: Raw(Vec::new()) }),
        };
        let name = held.as_ref().map(|holder| Safe::line(&holder.name));
        let again = held.as_ref().is_some_and(|holder| holder.again);
        let others = plan.others.iter().map(|name| Safe::line(name)).collect();
        self.tell(News::Opened(Opened { title, name, again, others })).await;
        let (input, mut output) = shell.split();
        let mut input = Typing { input, held: held.as_ref().map(|holder| holder.name.clone()) };
        let mut reading = held.as_ref().map(|holder| Held::new(again, holder.relayed.clone()));
        if let (Some(reading), Some(holder)) = (&reading, &held) {
            let _ = input.input.send(reading.opening(&holder.name, size.0, size.1)).await;
        }
        let mut end = false;
        let greeted = Notify::new();
        let ended = {
            let hearing = async {
                loop {
                    match output.next().await {
                        Heard::Out(bytes) if reading.is_some() => {
                            for said in reading.iter_mut().flat_map(|reading| reading.hear(&bytes)) {
                                match said {
                                    Said::Bytes(bytes) => {
                                        greeted.notify_one();
                                        self.show(bytes).await;
                                    }
                                    Said::Exit(why) if !why.is_empty() => return Ok(How::Left(why)),
                                    Said::Exit(_) => {}
                                }
                            }
                        }
                        Heard::Out(bytes) | Heard::Err(bytes) => {
                            greeted.notify_one();
                            self.show(bytes.into()).await;
                        }
                        Heard::Ended(exit) => return Ok(How::Ended(exit)),
                        Heard::Lost(failure) => return Err(failure),
                    }
                }
            };
            tokio::select! {
                ended = hearing => Some(ended),
                asked = async {
                    // Typed for the user, once there is somebody to type to.
                    if let Some(line) = enter.take() {
                        let prompted = async {
                            greeted.notified().await;
                            while timeout(QUIET, greeted.notified()).await.is_ok() {}
                        };
                        let _ = timeout(GREETING, prompted).await;
                        let _ = input.send(format!("{line}\r").into_bytes()).await;
                    }
                    self.say(&mut input, says, plan.pulse.filter(|_| held.is_some())).await
                } => {
                    end = asked;
                    None
                }
            }
        };
        match ended {
            Some(Ok(How::Ended(exit))) => Some(News::Ended(how(&exit))),
            Some(Ok(How::Left(why))) => Some(News::Ended(Safe::line(&why))),
            Some(Err(failure)) => Some(News::Lost { failure, unanswered: Raw(input.unanswered()) }),
            None => {
                match held {
                    // Asked to end, not just left: what goes on there ends, too.
                    Some(holder) if end => drop(timeout(FAREWELL, connection.run(&remote::end(&holder.name), None)).await),
                    // Said and waited for, so that whoever comes next finds it free.
                    Some(holder) => {
                        let gone = async {
                            let _ = input.input.send(held::let_go(&holder.name)).await;
                            while !matches!(output.next().await, Heard::Ended(_) | Heard::Lost(_)) {}
                        };
                        let _ = timeout(LETTING_GO, gone).await;
                    }
                    None => {}
                }
                None
            }
        }
    }

    /// Types what it is told to, until it is told to end, or nobody is there any more; which of both.
    async fn say(&self, input: &mut Typing, says: &mut UnboundedReceiver<Say>, pulse: Option<Pulse>) -> bool {
        let mut beats = tokio::time::interval(Pulse::PACE);
        loop {
            let say = tokio::select! {
                say = says.recv() => say,
                _ = beats.tick() => {
                    if let (Some(pulse), Some(name)) = (&pulse, &input.held) {
                        let _ = input.input.send(pulse.beat(name)).await;
                    }
                    continue;
                }
            };
            let Some(say) = say else { return false };
            // Where the line is gone, the hearing half says so.
            let _ = match say {
                Say::Bytes(bytes) => input.send(bytes).await,
                Say::Piece(bytes) => {
                    let sent = input.send(bytes).await;
                    let _ = self.events.send(Event::Shell { session: self.session, news: News::Taken });
                    sent
                }
                Say::Resize(columns, rows) => input.resize(columns, rows).await,
                Say::End => return true,
            };
        }
    }

    async fn show(&self, mut bytes: Vec<u8>) {
        while bytes.len() > PIECE {
            let rest = bytes.split_off(PIECE);
            self.tell(News::Bytes(Raw(std::mem::replace(&mut bytes, rest)))).await;
        }
        self.tell(News::Bytes(Raw(bytes))).await;
    }

    /// Waits while the loop has enough to do.
    async fn tell(&self, news: News) {
        let _ = self.heard.send(Event::Shell { session: self.session, news }).await;
    }
}

/// How a terminal ended.
enum How {
    Ended(Exit),
    /// What holds it has let us go, and why.
    Left(String),
}

/// What is typed, to a login or to what holds a terminal.
struct Typing {
    input: ShellInput,
    /// The terminal's name, where tmux holds it.
    held: Option<String>,
}

impl Typing {
    async fn send(&mut self, bytes: Vec<u8>) -> Result<(), Failure> {
        match &self.held {
            Some(name) => self.input.send(held::typed(name, &bytes)).await,
            None => self.input.send(bytes).await,
        }
    }

    async fn resize(&mut self, columns: u16, rows: u16) -> Result<(), Failure> {
        if self.held.is_some() {
            return self.input.send(held::resized(columns, rows)).await;
        }
        self.input.resize(columns, rows).await
    }

    /// What may not have arrived.
    fn unanswered(&self) -> Vec<u8> {
        let sent = self.input.unanswered();
        if self.held.is_some() { held::untyped(&sent) } else { sent }
    }
}

/// A connection with a terminal to open on it.
struct Connected {
    connection: Connection,
    plan: Plan,
    title: Safe,
    /// How the environment is entered.
    enter: Option<String>,
}

/// A doorman whose steps are told.
struct Usher {
    doorman: Arc<dyn Doorman>,
    line: Line,
}

impl Usher {
    async fn said(&self, step: &str) {
        self.line.tell(News::Said(Safe::line(step))).await;
    }
}

impl Doorman for Usher {
    fn route(&self) -> Job<'_, Route> {
        Box::pin(async {
            let route = self.doorman.route().await?;
            match &route {
                Route::Direct { host, port } => self.said(&format!("connecting to {host}, port {port}")).await,
                Route::Tunnel { .. } => self.said("connecting through its EC2 Instance Connect Endpoint").await,
            }
            Ok(route)
        })
    }

    fn introduce<'a>(&'a self, public_key: &'a str) -> Job<'a, ()> {
        Box::pin(async move {
            self.said("announcing a key for this login, good for a minute").await;
            self.doorman.introduce(public_key).await
        })
    }

    fn expected_host_keys(&self) -> Job<'_, Vec<String>> {
        Box::pin(async {
            self.said("reading its host keys from the console output").await;
            self.doorman.expected_host_keys().await
        })
    }

    fn trust<'a>(&'a self, offered: &'a Offered) -> Job<'a, bool> {
        Box::pin(async move {
            self.said("asking you about its host key").await;
            self.doorman.trust(offered).await
        })
    }
}

/// How it ended, in words.
fn how(exit: &Exit) -> Safe {
    match (&exit.status, &exit.signal) {
        (_, Some(signal)) => format!("by SIG{signal}").into(),
        (Some(status), None) => format!("exit {status}").into(),
        (None, None) => "and the machine did not say how".into(),
    }
}
