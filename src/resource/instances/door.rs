//! The way into an instance, for whoever opens a terminal or runs something there.

use std::sync::Arc;

use aws_sdk_ec2::types::Instance;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::{console, image, invalid, look, network};
use crate::aws::tunnel::Tunnel;
use crate::aws::{Aws, fault};
use crate::model::{Failure, FailureKind, Safe, command};
use crate::resource::{Ask, Door, Job};
use crate::ssh::{Doorman, Login, Machine, Offered, Pins, Route, host_keys};

/// How long a tunnel may stay open: what AWS gives at most.
const LONGEST: std::time::Duration = std::time::Duration::from_hours(1);

/// What a terminal on an instance takes.
///
/// # Errors
/// When there is no such instance, or host keys cannot be remembered.
pub(super) async fn door(aws: Arc<Aws>, named: &str, ask: Ask) -> Result<Door, Failure> {
    let it = look::one(&aws, named).await?;
    running(&it)?;
    let mut doorman = InstanceDoor::new(aws, look::id(&it), ask);
    let login = doorman.login(&it).await?;
    let (name, id) = (look::name(&it), look::id(&it));
    let title = if name == id { Safe::line(id) } else { Safe::line(&format!("{name} ({id})")) };
    Ok(Door { login, doorman: Arc::new(doorman), title })
}

/// Whether the instance runs now.
///
/// # Errors
/// `Conflict` with its state and the remedy when it does not; `NotFound` when there is none.
pub(in crate::resource) async fn up(aws: &Aws, id: &str) -> Result<(), Failure> {
    running(&look::one(aws, id).await?)
}

/// Since when the instance does not run, where it does not and EC2 tells.
pub(in crate::resource) async fn down_since(aws: &Aws, id: &str) -> Option<jiff::Timestamp> {
    let it = look::one(aws, id).await.ok()?;
    running(&it).err().and_then(|_| look::ended(&it))
}

fn running(it: &Instance) -> Result<(), Failure> {
    let start = format!("S, or {}", command(&format!("start instances {}", look::id(it))));
    let hint = match look::name_of_state(it) {
        "running" => return Ok(()),
        "pending" => "wait until it is running".to_owned(),
        "stopped" => format!("start it: {start}"),
        "stopping" => format!("start it once it is stopped: {start}"),
        _ => format!("launch another one: n, or {}", command("instance")),
    };
    Err(Failure::new(FailureKind::Conflict, format!("{} is {}", look::id(it), look::state(it).word), hint))
}

/// Asks EC2 for the way and the keys of one instance.
pub(super) struct InstanceDoor {
    aws: Arc<Aws>,
    id: String,
    user: String,
    ask: Ask,
}

impl InstanceDoor {
    pub fn new(aws: Arc<Aws>, id: &str, ask: Ask) -> Self {
        Self { aws, id: id.to_owned(), user: String::new(), ask }
    }

    /// Who wants in: the user by the tag, else by the family of the image.
    ///
    /// # Errors
    /// When there is no place for host keys, or the account is not known.
    pub async fn login(&mut self, it: &Instance) -> Result<Login, Failure> {
        let pins = self.aws.pins().ok_or_else(|| {
            Failure::new(
                FailureKind::Machine,
                "host keys cannot be remembered: there is no folder for them",
                format!("see {}", command("doctor")),
            )
        })?;
        let user = match look::tag(it, look::USER) {
            Some(user) => user.to_owned(),
            None => user(&self.aws, it).await,
        };
        self.user.clone_from(&user);
        let account = self.aws.identity().await?.account;
        let machine = Machine { account, region: self.aws.region().to_owned(), instance: self.id.clone() };
        Ok(Login { machine, user, pins: Pins::open(pins)? })
    }

    async fn way(&self) -> Result<Route, Failure> {
        let it = look::one(&self.aws, &self.id).await?;
        running(&it)?;
        let port = network::port(&it);
        let (gate, endpoint) = tokio::join!(network::gate(&self.aws, &it), network::endpoint(&self.aws, &it));
        // Who may not look at them tries all the same.
        let endpoint = endpoint.ok().flatten();
        let shut = gate.as_ref().is_ok_and(|gate| gate.is_closed() && gate.groups.is_empty());
        let private = network::address(it.private_ip_address());
        if let Some(host) = network::address(it.public_ip_address()).filter(|_| !shut) {
            return Ok(Route::Direct { host, port });
        }
        if let (Some(endpoint), Some(address)) = (&endpoint, private) {
            let tunnel = Tunnel {
                host: endpoint.dns_name().unwrap_or_default().to_owned(),
                endpoint: endpoint.instance_connect_endpoint_id().unwrap_or_default().to_owned(),
                address,
                port,
                longest: LONGEST,
            };
            return Ok(Route::Tunnel { url: self.aws.tunnel_url(&tunnel).await? });
        }
        if let Some(host) = network::address(it.ipv6_address()).filter(|_| !shut) {
            return Ok(Route::Direct { host, port });
        }
        let why = match &gate {
            Ok(gate) if shut => gate.said(port, false),
            _ => "it has no public address, and its network no EC2 Instance Connect Endpoint".to_owned(),
        };
        Err(Failure::new(
            FailureKind::Network,
            format!("there is no way to {}: {why}", self.id),
            format!(
                "its details (v; {}) say what its network has; a rule or an endpoint is made in the AWS console",
                command(&format!("show instances {}", self.id))
            ),
        ))
    }

    async fn announce(&self, public_key: &str) -> Result<(), Failure> {
        let asked = self
            .aws
            .instance_connect
            .send_ssh_public_key()
            .instance_id(&self.id)
            .instance_os_user(&self.user)
            .ssh_public_key(public_key)
            .send()
            .await;
        let error = match asked {
            Ok(answer) if answer.success() => return Ok(()),
            Ok(_) => {
                return Err(Failure::new(
                    FailureKind::Service,
                    format!("EC2 Instance Connect did not take the key for {}", self.id),
                    "try again",
                ));
            }
            Err(error) => error,
        };
        // The codes of EC2 Instance Connect's service model.
        let failure = fault::tell(&format!("announcing a key to {}", self.id), &error);
        let start = command(&format!("start instances {}", self.id));
        let it_must_run = format!("it must be running: wait, or start it: S, or {start}");
        let (kind, hint) = match error.code().unwrap_or_default() {
            "AuthException" => {
                (FailureKind::Denied, "it needs ec2-instance-connect:SendSSHPublicKey, for this user (condition ec2:osuser)")
            }
            "InvalidArgsException" => (FailureKind::Invalid, "is the user right? The tag footplate:user names another one"),
            "EC2InstanceNotFoundException" => (FailureKind::NotFound, "it may be gone, or in another region"),
            "EC2InstanceStateInvalidException" => (FailureKind::Conflict, it_must_run.as_str()),
            "EC2InstanceUnavailableException" => (FailureKind::Service, "it is not ready yet: try again in a minute"),
            "EC2InstanceTypeInvalidException" | "SerialConsoleSessionUnsupportedException" => {
                (FailureKind::Invalid, "EC2 Instance Connect does not serve this type")
            }
            _ => return Err(failure),
        };
        Err(Failure::new(kind, failure.what, hint))
    }
}

/// By the family of its image; an image that is gone leaves EC2 Instance Connect's own default.
async fn user(aws: &Aws, it: &Instance) -> String {
    let image = image::by_id(aws, it.image_id().unwrap_or_default()).await;
    image.map_or("ec2-user", |image| image.user()).to_owned()
}

impl Doorman for InstanceDoor {
    fn route(&self) -> Job<'_, Route> {
        Box::pin(self.way())
    }

    fn introduce<'a>(&'a self, public_key: &'a str) -> Job<'a, ()> {
        Box::pin(self.announce(public_key))
    }

    fn expected_host_keys(&self) -> Job<'_, Vec<String>> {
        Box::pin(async {
            let (console, _) = console::output(&self.aws, &self.id).await?;
            Ok(host_keys(&console))
        })
    }

    fn trust<'a>(&'a self, offered: &'a Offered) -> Job<'a, bool> {
        Box::pin(async { Ok((self.ask)(offered.clone()).await) })
    }
}

/// What every other thing says to whoever wants a terminal on it.
pub(in crate::resource) fn none(singular: &str) -> Failure {
    invalid(&format!("a {singular} has no terminal"), "select an instance")
}
