//! Amazon EC2: instances that one can log in to, with what belongs to them (EC2 API Reference, version 2016-11-15).
//!
//! A request has passed the model ([`model`], `wire::ec2`) when it comes here. State is documents in SQLite ([`store`]); a call
//! changes them and returns, and what takes time is done by [`machine`] beside it: states go by at the region's speed, and
//! behind each running instance is a machine of `local::host`, and a metadata service ([`metadata`]). Everything else is numbers: volumes have no blocks, networks no
//! packets, and addresses are this machine's own.

mod blocks;
mod describe;
mod filter;
mod groups;
mod ids;
mod images;
mod instance;
mod keys;
mod kinds;
mod life;
mod limits;
mod machine;
mod metadata;
pub(in crate::local) mod model;
mod modify;
mod network;
mod options;
mod place;
pub(in crate::local) mod profile;
mod run;
mod spot;
mod store;
mod tags;
mod templates;
mod volumes;
mod wanted;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;
use crate::local::host::{Datasets, Keyring};
use crate::local::sagemaker::EngineOptions;
use crate::local::sessions::Sessions;
use groups::Group;
use instance::{Instance, State};
use machine::Machines;
use place::Place;
use run::Token;
use store::{Kept as _, Store};
use wanted::check_dry_run;

/// Seconds that a change of state takes, at speed 1: AWS takes up to a minute.
const PHASE: f64 = 2.0;
/// How long a terminated instance is still listed, in milliseconds (EC2 User Guide, "Terminate Amazon EC2 instances": "a short
/// while", about an hour).
const REMEMBERED: i64 = 3600 * 1000;
/// How long the first calls wait for machines that were running when the region was closed.
const WAKING: Duration = Duration::from_secs(20);

/// What may be rehearsed of EC2; nothing by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ec2Options {
    /// How long what was made is not seen by calls that look for it: AWS is eventually consistent (EC2 API Reference,
    /// "Eventual consistency").
    pub unseen: Duration,
    /// How long a pushed key may be used to log in, where that is not the service's minute.
    pub key_life: Option<Duration>,
    /// How long the credentials of a role are valid, where that is not hours.
    pub role_life: Option<Duration>,
}

/// What the service shares with others of the region.
pub struct Neighbours {
    /// Filled by EC2 Instance Connect, asked by the machines.
    pub keys: Arc<Keyring>,
    /// Filled by the metadata service, asked by who verifies signatures.
    pub sessions: Arc<Sessions>,
    /// Where programs in instances find the region.
    pub endpoint: String,
}

/// The service.
pub struct Ec2 {
    store: Store,
    place: Place,
    machines: Machines,
    neighbours: Neighbours,
    folder: PathBuf,
    /// How long a change of state takes.
    phase: Duration,
    engine: EngineOptions,
    /// What `wget` in an instance finds; opened before the first machine.
    datasets: OnceLock<Datasets>,
    /// In milliseconds.
    unseen: i64,
    /// Calls come one after the other: what a call has checked stays true until it is done.
    turn: Mutex<()>,
    /// For the tasks, which must not keep a region alive that was dropped.
    me: Weak<Self>,
    awake: watch::Receiver<bool>,
}

/// What another service may know of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub zone: String,
    pub running: bool,
}

impl Ec2 {
    /// Opens the service in its folder, whose lock the caller holds, and starts the machines that were running.
    ///
    /// # Errors
    /// When the folder cannot be used, or there is no runtime to run machines on.
    pub fn open(
        folder: &Path,
        region: &str,
        engine: &EngineOptions,
        neighbours: Neighbours,
        options: Ec2Options,
    ) -> Result<Arc<Self>, Fault> {
        std::fs::create_dir_all(folder).map_err(Fault::internal)?;
        let folder = folder.canonicalize().map_err(Fault::internal)?;
        let store = Store::open(&folder.join("ec2.sqlite"))?;
        let default = Group::default_of(region);
        if store.get::<Group>(default.id())?.is_none() {
            store.change(|change| change.put(&default))?;
        }
        let runtime = Handle::try_current().map_err(Fault::internal)?;
        let (waker, awake) = watch::channel(false);
        let ec2 = Arc::new_cyclic(|me| Self {
            store,
            place: Place { region: region.to_owned() },
            machines: Machines::new(runtime),
            neighbours,
            folder,
            phase: Duration::from_secs_f64(PHASE / engine.speed.clamp(0.01, 10_000.0)),
            engine: engine.clone(),
            datasets: OnceLock::new(),
            unseen: i64::try_from(options.unseen.as_millis()).unwrap_or(i64::MAX),
            turn: Mutex::default(),
            me: Weak::clone(me),
            awake,
        });
        let woken = Arc::clone(&ec2);
        ec2.machines.spawn(async move {
            woken.resume().await;
            waker.send_replace(true);
        });
        Ok(ec2)
    }

    /// One call of the API; input and output in the shapes of the service model.
    ///
    /// # Errors
    /// As AWS answers.
    pub async fn call(self: &Arc<Self>, operation: &str, input: Value) -> Result<Value, Fault> {
        let mut awake = self.awake.clone();
        // Whoever opens the region for one question finds the machines up that were up before.
        tokio::time::timeout(WAKING, awake.wait_for(|awake| *awake)).await.ok();
        let (service, operation) = (Arc::clone(self), operation.to_owned());
        let work = tokio::task::spawn_blocking(move || service.answer(&operation, &input));
        work.await.map_err(Fault::internal)?
    }

    /// What EC2 Instance Connect must know of an instance; none when there is none. Blocks.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn look_up(&self, id: &str) -> Result<Option<Seen>, Fault> {
        let found = self.instances()?.into_iter().find(|instance| instance.id == id && instance.state != State::Terminated);
        Ok(found.map(|instance| Seen { zone: self.place.zone(instance.zone), running: instance.state == State::Running }))
    }

    /// The names of the instance profiles that instances have. Blocks.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn profiles(&self) -> Result<Vec<String>, Fault> {
        let instances = self.instances()?.into_iter().filter(|instance| instance.state != State::Terminated);
        Ok(instances.filter_map(|instance| instance.profile).collect::<std::collections::BTreeSet<_>>().into_iter().collect())
    }

    fn answer(&self, operation: &str, request: &Value) -> Result<Value, Fault> {
        let _turn = self.turn();
        self.forget()?;
        let tagged = |document: &mut Value, id: &str| self.tagged(document, id);
        let shown = match operation {
            "RunInstances" => return run::run(self, request),
            "AssociateIamInstanceProfile" => return profile::associate(self, request),
            "ReplaceIamInstanceProfileAssociation" => return profile::replace(self, request),
            "DisassociateIamInstanceProfile" => return profile::disassociate(self, request),
            "StartInstances" => return life::start(self, request),
            "StopInstances" => return life::stop(self, request),
            "RebootInstances" => return life::reboot(self, request),
            "TerminateInstances" => return life::terminate(self, request),
            "ModifyInstanceAttribute" => return modify::modify(self, request),
            "DescribeInstanceAttribute" => return modify::describe(self, request),
            "ModifyInstanceMetadataOptions" => return options::metadata(self, request),
            "ResetInstanceAttribute" => return options::reset(self, request),
            "GetPasswordData" => return options::password(self, request),
            "MonitorInstances" => return options::monitor(self, request, true),
            "UnmonitorInstances" => return options::monitor(self, request, false),
            "CancelSpotInstanceRequests" => return spot::cancel(self, request),
            "CreateKeyPair" => return keys::create(self, request),
            "ImportKeyPair" => return keys::import(self, request),
            "CreateLaunchTemplate" => return templates::create(self, request),
            "CreateLaunchTemplateVersion" => return templates::create_version(self, request),
            "ModifyLaunchTemplate" => return templates::modify(self, request),
            "DeleteLaunchTemplate" => return templates::delete(self, request),
            "DeleteKeyPair" => return keys::delete(self, request),
            "GetConsoleOutput" => return describe::console(self, request),
            "CreateTags" => return tags::create(self, request),
            "DeleteTags" => return tags::delete(self, request),
            "CreateSecurityGroup" => return groups::create(self, request),
            "DeleteSecurityGroup" => return groups::delete(self, request),
            "AuthorizeSecurityGroupIngress" => return groups::authorize(self, request, false),
            "AuthorizeSecurityGroupEgress" => return groups::authorize(self, request, true),
            "RevokeSecurityGroupIngress" => return groups::revoke(self, request, false),
            "RevokeSecurityGroupEgress" => return groups::revoke(self, request, true),
            "ModifySecurityGroupRules" => return groups::modify(self, request),
            "UpdateSecurityGroupRuleDescriptionsIngress" => return groups::describe_anew(self, request, false),
            "UpdateSecurityGroupRuleDescriptionsEgress" => return groups::describe_anew(self, request, true),
            "DescribeInstances" => describe::instances(self, request),
            "DescribeInstanceStatus" => describe::statuses(self, request),
            "DescribeInstanceCreditSpecifications" => describe::credits(self, request),
            "DescribeNetworkInterfaces" => describe::interfaces(self, request),
            "DescribeInstanceConnectEndpoints" => describe::endpoints(request),
            "DescribeIamInstanceProfileAssociations" => profile::describe(self, request),
            "DescribeImages" => images::describe(&self.place, request, tagged),
            "DescribeSnapshots" => images::snapshots(&self.place, request, tagged),
            "DescribeKeyPairs" => keys::describe(self, request),
            "DescribeLaunchTemplates" => templates::describe(self, request),
            "DescribeLaunchTemplateVersions" => templates::describe_versions(self, request),
            "DescribeSpotInstanceRequests" => spot::describe(self, request),
            "DescribeInstanceTypes" => kinds::describe(request),
            "DescribeInstanceTypeOfferings" => kinds::offerings(&self.place, request),
            "DescribeSpotPriceHistory" => limits::spot_prices(self, request),
            "DescribeRegions" => self.place.regions(request),
            "DescribeAvailabilityZones" => self.place.zones(request),
            "DescribeVpcs" => self.place.vpcs(request, tagged),
            "DescribeVpcAttribute" => network::attribute(self, request),
            "DescribeInternetGateways" => network::gateways(self, request),
            "DescribeRouteTables" => network::route_tables(self, request),
            "DescribeNetworkAcls" => network::access_lists(self, request),
            "DescribeDhcpOptions" => network::dhcp_options(self, request),
            "DescribeAddresses" => network::addresses(request),
            "DescribePlacementGroups" => network::placement_groups(request),
            "DescribeReservedInstances" => network::reserved(request),
            "DescribeVpcPeeringConnections" => network::peerings(request),
            "DescribeCapacityReservations" => network::reservations(request),
            "DescribeAccountAttributes" => Ok(network::account(self, request)),
            "DescribeSubnets" => {
                let instances = self.store.all::<Instance>()?;
                let used = |subnet: &str| {
                    instances.iter().filter(|instance| instance.subnet == subnet && instance.state != State::Terminated).count()
                };
                self.place.subnets(request, used, tagged)
            }
            "DescribeSecurityGroups" => groups::describe(self, request),
            "DescribeSecurityGroupRules" => groups::describe_rules(self, request),
            "DescribeVolumes" => volumes::describe(self, request),
            "DescribeTags" => tags::describe(self, request),
            other => Err(Fault::internal(format_args!("{other} is not an operation of EC2"))),
        }?;
        check_dry_run(request)?;
        Ok(shown)
    }

    /// Forgets instances that ended long ago, and the tokens that made them.
    fn forget(&self) -> Result<(), Fault> {
        let before = now_millis() - REMEMBERED;
        let instances = self.store.all::<Instance>()?;
        let gone: Vec<&Instance> =
            instances.iter().filter(|instance| instance.ended.is_some_and(|ended| ended < before)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let left = |id: &String| instances.iter().any(|instance| instance.id == *id) && gone.iter().all(|other| other.id != *id);
        let tokens = self.store.all::<Token>()?;
        self.store.change(|change| {
            for instance in &gone {
                change.remove::<Instance>(&instance.id)?;
                if let Some(request) = instance.spot_request() {
                    change.untag_all(request)?;
                }
            }
            for token in tokens.iter().filter(|token| !token.instances.iter().any(left)) {
                change.remove::<Token>(token.id())?;
            }
            Ok(())
        })?;
        for instance in gone {
            std::fs::remove_dir_all(self.folder(&instance.id)).ok();
        }
        Ok(())
    }

    /// The instances that a client sees by now, in the order of their launch.
    fn instances(&self) -> Result<Vec<Instance>, Fault> {
        let mut instances = self.store.all::<Instance>()?;
        instances.retain(|instance| self.sees(instance.visible));
        instances.sort_by_key(Instance::key);
        Ok(instances)
    }

    /// Groups by id and name, as answers have them.
    fn group_names(&self, ids: &[String]) -> Result<Value, Fault> {
        let groups = self.store.all::<Group>()?;
        let named = ids.iter().map(|id| {
            let name = groups.iter().find(|group| group.id() == id).map_or("", |group| group.name.as_str());
            json!({"GroupId": id, "GroupName": name})
        });
        Ok(named.collect())
    }

    /// Adds the tags of a resource to its document, if it has any.
    fn tagged(&self, document: &mut Value, id: &str) {
        // Tags that cannot be read are missed by the next call that changes something.
        let tags = self.store.tags_of(id).unwrap_or_default();
        if !tags.is_empty() {
            document["Tags"] = tags.into();
        }
    }

    fn visible_from(&self) -> i64 {
        now_millis().saturating_add(self.unseen)
    }

    fn sees(&self, visible: i64) -> bool {
        self.unseen == 0 || visible <= now_millis()
    }

    /// The folder of an instance.
    fn folder(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn me(&self) -> Weak<Self> {
        Weak::clone(&self.me)
    }
}
