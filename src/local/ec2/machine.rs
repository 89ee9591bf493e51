//! The machines behind the instances: started, halted and started again beside the calls, one thing at a time for each
//! instance. A machine gets an address of 127.0.0.0/8 for itself, which is its instance's public address.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Mutex as Turn;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Ec2;
use super::images;
use super::instance::{Instance, State};
use super::metadata::Metadata;
use super::run::check_user_data;
use super::volumes::Volume;
use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;
use crate::local::host::{Datasets, Host, HostEnvironment, HostSpec, ShutDown};

/// The tag that says at which port SSH answers, where that is not 22.
pub const PORT_TAG: &str = "footplate:ssh-port";
/// The port of SSH.
const SSH: u16 = 22;
/// The name of the console's text in an instance's folder.
const CONSOLE: &str = "console.txt";

/// What is to be done with a machine after a call.
#[derive(Clone, Copy)]
pub enum Step {
    /// The instance is pending: it comes up.
    Start,
    /// The instance is stopping or shutting down: it comes to its end.
    End,
    /// The instance is running, and its machine is started again.
    Reboot,
}

/// A machine that runs, and what it asks about itself.
struct Up {
    host: Host,
    _metadata: Metadata,
}

/// All machines, and what is under way with them.
pub struct Machines {
    places: Mutex<HashMap<String, Arc<Turn<Option<Up>>>>>,
    tasks: TaskTracker,
    closing: CancellationToken,
    runtime: Handle,
}

impl Machines {
    /// None yet; their tasks run on this runtime.
    #[must_use]
    pub fn new(runtime: Handle) -> Self {
        Self { places: Mutex::default(), tasks: TaskTracker::new(), closing: CancellationToken::new(), runtime }
    }

    fn place(&self, id: &str) -> Arc<Turn<Option<Up>>> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry(id.to_owned()).or_default())
    }

    /// Runs a task that the region waits for when it closes.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(work, &self.runtime);
    }

    /// Waits, at most until the region closes; whether it was the whole time.
    async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            () = self.closing.cancelled() => false,
        }
    }
}

impl Ec2 {
    /// Does the next thing with an instance's machine, once what is under way with it is done.
    pub fn begin(&self, id: &str, step: Step) {
        let (me, id) = (self.me(), id.to_owned());
        self.machines.spawn(async move {
            let Some(ec2) = me.upgrade() else { return };
            let place = ec2.machines.place(&id);
            let mut host = place.lock().await;
            match step {
                Step::Start => {
                    if ec2.machines.pause(ec2.phase).await {
                        ec2.come_up(&id, &mut host).await;
                    }
                }
                Step::End => {
                    ec2.take_down(&id, &mut host).await;
                    // A region that closes here finishes it when it opens again.
                    if ec2.machines.pause(ec2.phase).await {
                        said(&id, ec2.blocking(Self::end, &id).await);
                    }
                }
                Step::Reboot => {
                    ec2.take_down(&id, &mut host).await;
                    if !ec2.machines.closing.is_cancelled() {
                        ec2.come_up(&id, &mut host).await;
                    }
                }
            }
        });
    }

    /// Goes on where an earlier region ended; returns when the machines that were running are up again.
    pub async fn resume(self: Arc<Self>) {
        match Datasets::open(&self.folder.with_file_name("datasets")).await {
            Ok(datasets) => drop(self.datasets.set(datasets)),
            // Instances run without it.
            Err(error) => tracing::warn!(%error, "the data sets of the local region cannot be served"),
        }
        let Ok(Ok(instances)) = tokio::task::spawn_blocking({
            let ec2 = Arc::clone(&self);
            move || ec2.store.all::<Instance>()
        })
        .await
        else {
            return;
        };
        let mut running = Vec::new();
        for instance in instances {
            match instance.state {
                State::Pending => self.begin(&instance.id, Step::Start),
                State::Stopping | State::ShuttingDown => self.begin(&instance.id, Step::End),
                State::Running => running.push(instance.id),
                State::Stopped | State::Terminated => {}
            }
        }
        let starts = running.iter().map(|id| async {
            let place = self.machines.place(id);
            let mut host = place.lock().await;
            if !self.machines.closing.is_cancelled() {
                said(id, self.blocking(Self::note_restart, id).await);
                self.come_up(id, &mut host).await;
            }
        });
        futures_util::future::join_all(starts).await;
    }

    /// Halts all machines; their instances stay as they are, and come up again with the region.
    pub async fn close(&self) {
        self.machines.closing.cancel();
        self.machines.tasks.close();
        self.machines.tasks.wait().await;
        let places: Vec<_> = {
            let mut places = self.machines.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.drain().collect()
        };
        for (id, place) in places {
            self.take_down(&id, &mut *place.lock().await).await;
        }
    }

    /// The instances whose machines are up or coming up.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        let instances = self.store.all::<Instance>().unwrap_or_default();
        instances.into_iter().filter(|instance| instance.state.counts()).map(|instance| instance.id).collect()
    }

    /// The console's text since the last start, and of when it is in epoch milliseconds; none before the first.
    #[must_use]
    pub fn console(&self, id: &str) -> Option<(String, i64)> {
        let place = self.machines.place(id);
        // While the machine starts or ends, what it printed before is all there is.
        if let Some(up) = place.try_lock().ok().as_ref().and_then(|up| up.as_ref()) {
            return Some((up.host.console(), now_millis()));
        }
        let path = self.folder(id).join(CONSOLE);
        let text = std::fs::read_to_string(&path).ok()?;
        let at = std::fs::metadata(&path).and_then(|about| about.modified()).ok()?;
        let since = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Some((text, i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Halts the machine, if there is one; its console's text stays.
    async fn take_down(&self, id: &str, place: &mut Option<Up>) {
        let Some(Up { host, _metadata }) = place.take() else { return };
        let written = tokio::fs::write(self.folder(id).join(CONSOLE), host.console()).await;
        if let Err(error) = written {
            tracing::warn!(%id, %error, "the console of an instance cannot be written");
        }
        host.halt().await;
    }

    /// Starts the machine, if the instance still is to have one, and writes down how it went.
    async fn come_up(&self, id: &str, place: &mut Option<Up>) {
        let prepared = self.blocking(Self::prepare, id).await;
        let Ok(Some(spec)) = prepared else { return said(id, prepared.map(|_| ())) };
        let address = spec.address;
        match self.boot(spec).await {
            Ok(up) => {
                let port = up.host.port();
                *place = Some(up);
                let noted = self.blocking(move |ec2, id| ec2.note_up(id, address, port), id).await;
                if !matches!(noted, Ok(true)) {
                    // It was told to end while it started; or nobody can be told of it.
                    self.take_down(id, place).await;
                    said(id, noted.map(|_| ()));
                }
            }
            Err(error) => said(id, self.blocking(move |ec2, id| ec2.note_failure(id, &error), id).await),
        }
    }

    /// Starts the machine, with the metadata service that its programs are told of.
    async fn boot(&self, mut spec: HostSpec) -> io::Result<Up> {
        let metadata = Metadata::open(self.me(), &spec.instance_id, spec.address).await?;
        // The variables that AWS's SDKs and tools read (AWS SDKs and Tools Reference Guide). The address that they would ask
        // else, 169.254.169.254, is not ours; nor are AWS's own endpoints.
        spec.variables = [
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url()),
            ("AWS_ENDPOINT_URL", self.neighbours.endpoint.clone()),
            ("AWS_REGION", self.place.region.clone()),
            ("AWS_DEFAULT_REGION", self.place.region.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        Ok(Up { host: Host::boot(spec).await?, _metadata: metadata })
    }

    /// The instance, if it is still to have a machine.
    fn wanted(&self, id: &str) -> Result<Option<Instance>, Fault> {
        Ok(self.store.get::<Instance>(id)?.filter(|instance| instance.state.counts()))
    }

    /// What the machine needs; none when the instance is not to come up any more.
    fn prepare(&self, id: &str) -> Result<Option<HostSpec>, Fault> {
        let _turn = self.turn();
        let Some(instance) = self.wanted(id)? else { return Ok(None) };
        let image = images::by_id(&self.place, &instance.image);
        let folder = self.folder(id);
        std::fs::create_dir_all(&folder).map_err(Fault::internal)?;
        let (me, guest) = (self.me(), id.to_owned());
        let spec = HostSpec {
            instance_id: id.to_owned(),
            address: self.address_for(&instance)?,
            private_address: instance.private,
            user: image.map_or("ec2-user", |image| image.user).to_owned(),
            image: image.map_or("", |image| image.name).to_owned(),
            environment: image.map_or(HostEnvironment::Bare, images::Image::environment),
            user_data: instance.user_data.as_deref().map(check_user_data).transpose()?,
            first_boot: instance.boots == 0,
            keys: Arc::clone(&self.neighbours.keys),
            launch_key: instance.key.as_ref().map(|key| key.public.clone()),
            speed: self.engine.speed,
            keeper: self.engine.keeper.clone(),
            python: self.engine.python.clone(),
            datasets: self.datasets.get().map(|datasets| datasets.datasets_url().to_owned()),
            variables: Vec::new(),
            asked_down: Box::new(move |how| asked_down(&me, &guest, how)),
            folder,
        };
        Ok(Some(spec))
    }

    /// The address that an instance has until it stops, else a new one that no other of this region has.
    fn address_for(&self, instance: &Instance) -> Result<Ipv4Addr, Fault> {
        if let Some(address) = instance.public {
            return Ok(address);
        }
        let taken: Vec<Ipv4Addr> = self.store.all::<Instance>()?.into_iter().filter_map(|other| other.public).collect();
        loop {
            let mut bytes = [0_u8; 3];
            getrandom::fill(&mut bytes).map_err(|error| Fault::internal(format_args!("no randomness: {error}")))?;
            // Not 127.0 and 127.255, where this machine's own services and resolvers are, and no .0 and .255.
            let [a, b, c] = bytes;
            let address = Ipv4Addr::new(127, a.clamp(1, 254), b, c.clamp(1, 254));
            if !taken.contains(&address) {
                return Ok(address);
            }
        }
    }

    /// The machine is up: so is the instance, unless it was told to end meanwhile.
    fn note_up(&self, id: &str, address: Ipv4Addr, port: u16) -> Result<bool, Fault> {
        let _turn = self.turn();
        let Some(mut instance) = self.wanted(id)? else { return Ok(false) };
        instance.state = State::Running;
        instance.reason = None;
        instance.up = Some(now_millis());
        instance.boots += 1;
        instance.public = instance.wants_public.then_some(address);
        self.store.change(|change| {
            change.put(&instance)?;
            if port == SSH { change.untag(id, PORT_TAG, None) } else { change.tag(id, PORT_TAG, &port.to_string()) }
        })?;
        Ok(true)
    }

    /// The machine does not start: a new instance is terminated, one that was there before stops.
    fn note_failure(&self, id: &str, error: &io::Error) -> Result<(), Fault> {
        let _turn = self.turn();
        let Some(mut instance) = self.wanted(id)? else { return Ok(()) };
        instance.reason =
            Some(("Server.InternalError".to_owned(), format!("Server.InternalError: Internal error on launch: {error}")));
        "Server.InternalError".clone_into(&mut instance.transition);
        let state = if instance.boots == 0 { State::ShuttingDown } else { State::Stopping };
        instance.state = state;
        self.store.change(|change| change.put(&instance))?;
        self.finish(instance)
    }

    /// The region was closed and is open again: what ran in the instance is gone, as after a reboot.
    fn note_restart(&self, id: &str) -> Result<(), Fault> {
        let _turn = self.turn();
        let Some(mut instance) = self.store.get::<Instance>(id)? else { return Ok(()) };
        let at = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
        instance.transition = format!("Rebooted with the local region ({at} GMT)");
        self.store.change(|change| change.put(&instance))
    }

    /// The machine is down.
    fn end(&self, id: &str) -> Result<(), Fault> {
        let _turn = self.turn();
        self.store.get::<Instance>(id)?.map_or(Ok(()), |instance| self.finish(instance))
    }

    fn finish(&self, mut instance: Instance) -> Result<(), Fault> {
        instance.public = None;
        let id = instance.id.clone();
        match instance.state {
            State::Stopping => {
                instance.state = State::Stopped;
                self.store.change(|change| {
                    change.put(&instance)?;
                    change.untag(&id, PORT_TAG, None)
                })
            }
            State::ShuttingDown => {
                instance.state = State::Terminated;
                instance.ended = Some(now_millis());
                let volumes = std::mem::take(&mut instance.volumes);
                self.store.change(|change| {
                    for attached in &volumes {
                        if attached.goes_along {
                            change.remove::<Volume>(&attached.volume)?;
                        } else if let Some(mut volume) = change.get::<Volume>(&attached.volume)? {
                            volume.attached = None;
                            change.put(&volume)?;
                        }
                    }
                    change.untag_all(&instance.interface)?;
                    change.untag(&id, PORT_TAG, None)?;
                    change.put(&instance)
                })?;
                // Its console stays readable as long as it is listed.
                let console = std::fs::read(self.folder(&id).join(CONSOLE)).ok();
                std::fs::remove_dir_all(self.folder(&id)).ok();
                if let Some(console) = console {
                    std::fs::create_dir_all(self.folder(&id)).map_err(Fault::internal)?;
                    std::fs::write(self.folder(&id).join(CONSOLE), console).map_err(Fault::internal)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Work on the store, away from the tasks that wait.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self, &str) -> Result<T, Fault> + Send + 'static,
        id: &str,
    ) -> Result<T, Fault> {
        let (me, id) = (self.me(), id.to_owned());
        let done = tokio::task::spawn_blocking(move || {
            let ec2 = me.upgrade().ok_or_else(|| Fault::internal("the local region is gone"))?;
            work(&ec2, &id)
        });
        done.await.map_err(Fault::internal)?
    }
}

/// The guest asks to be shut down or rebooted.
fn asked_down(me: &Weak<Ec2>, id: &str, how: ShutDown) {
    let Some(ec2) = me.upgrade() else { return };
    match how {
        ShutDown::Reboot => ec2.begin(id, Step::Reboot),
        ShutDown::Halt => {
            let id = id.to_owned();
            let machines = Arc::clone(&ec2);
            machines.machines.spawn(async move { said(&id, ec2.blocking(Ec2::shut_down_by_guest, &id).await) });
        }
    }
}

/// Nobody waits for these: what goes wrong is in the log.
fn said(id: &str, done: Result<(), Fault>) {
    if let Err(fault) = done {
        tracing::warn!(%id, error = %fault.message, "an instance of the local region is not as it should be");
    }
}
