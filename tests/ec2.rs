//! EC2 and EC2 Instance Connect of the local region, with the real AWS SDKs through its TCP door.

#[path = "ec2/metadata.rs"]
mod metadata;

use std::fmt::Debug;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::{BehaviorVersion, Region};
use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::{
    AttributeBooleanValue, BlockDeviceMapping, EbsBlockDevice, Filter, Instance, InstanceStateName, InstanceType, Placement,
    ResourceType, ShutdownBehavior, Tag, TagSpecification,
};
use base64::Engine as _;
use footplate::local::sagemaker::EngineOptions;
use footplate::local::{Ec2Options, LocalRegion, Options};
use tokio_util::sync::CancellationToken;

/// Nothing here takes nearly as long; a machine under load may.
const DEADLINE: Duration = Duration::from_mins(1);
/// The newest image with conda's environments.
const IMAGE: &str =
    "resolve:ssm:/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.5-ubuntu-22.04/latest/ami-id";

struct Fixture {
    region: Arc<LocalRegion>,
    endpoint: String,
    stop: CancellationToken,
    ec2: Client,
}

impl Fixture {
    async fn open(folder: &Path, options: Ec2Options) -> Self {
        let engine = EngineOptions {
            keeper: PathBuf::from(env!("CARGO_BIN_EXE_footplate")),
            python: PathBuf::from("python3"),
            speed: 40.0,
            memory_bytes: None,
            disk_bytes: None,
            seconds: None,
        };
        let place = Options { folder: folder.to_owned(), region: "us-east-1".to_owned(), engine };
        // An earlier region may hold the folder for a moment longer: its door lets go of it last.
        let deadline = Instant::now() + DEADLINE;
        let region = loop {
            match LocalRegion::open_with(place.clone(), options).await {
                Ok(region) => break region,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let stop = CancellationToken::new();
        tokio::spawn(Arc::clone(&region).serve_tcp(listener, stop.clone()));
        let config = aws_sdk_ec2::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(keys(&region))
            .endpoint_url(&endpoint);
        Self { ec2: Client::from_conf(config.build()), region, endpoint, stop }
    }

    async fn close(self) {
        self.stop.cancel();
        self.region.close().await;
    }

    fn connect(&self) -> aws_sdk_ec2instanceconnect::Client {
        let config = aws_sdk_ec2instanceconnect::Config::builder()
            .behavior_version(aws_sdk_ec2instanceconnect::config::BehaviorVersion::latest())
            .region(aws_sdk_ec2instanceconnect::config::Region::new("us-east-1"))
            .credentials_provider(keys(&self.region))
            .endpoint_url(&self.endpoint);
        aws_sdk_ec2instanceconnect::Client::from_conf(config.build())
    }

    fn launch(&self) -> aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder {
        self.ec2.run_instances().image_id(IMAGE).instance_type(InstanceType::T3Medium).min_count(1).max_count(1)
    }

    async fn one(&self, id: &str) -> Instance {
        let told = self.ec2.describe_instances().instance_ids(id).send().await.unwrap();
        told.reservations()[0].instances()[0].clone()
    }

    async fn until(&self, id: &str, state: InstanceStateName) -> Instance {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let instance = self.one(id).await;
            if instance.state().and_then(|state| state.name()) == Some(&state) {
                return instance;
            }
            assert!(Instant::now() < deadline, "{id} is still {:?}", instance.state());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn keys(region: &LocalRegion) -> Credentials {
    let keys = region.credentials();
    Credentials::new(&keys.access_key_id, &keys.secret_access_key, None, None, "test")
}

fn id(instances: &[Instance]) -> String {
    instances[0].instance_id().unwrap().to_owned()
}

/// Where SSH answers.
fn door(instance: &Instance) -> (Ipv4Addr, u16) {
    let port = instance.tags().iter().find(|tag| tag.key() == Some("footplate:ssh-port")).and_then(|tag| tag.value());
    (instance.public_ip_address().unwrap().parse().unwrap(), port.map_or(22, |port| port.parse().unwrap()))
}

/// Code and message of a refused call.
fn refusal<T: Debug, E: ProvideErrorMetadata>(result: Result<T, E>) -> (String, String) {
    match result {
        Ok(answer) => panic!("was not refused: {answer:?}"),
        Err(error) => (error.code().unwrap_or_default().to_owned(), error.message().unwrap_or_default().to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_has_an_address_of_its_own_that_answers_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::open(folder.path(), Ec2Options::default()).await;
    let name = Tag::builder().key("Name").value("a").build();
    let tags = TagSpecification::builder().resource_type(ResourceType::Instance).tags(name).build();
    let disk = EbsBlockDevice::builder().volume_size(100).build();
    let disk = BlockDeviceMapping::builder().device_name("/dev/sda1").ebs(disk).build();
    let launched = fixture.launch().tag_specifications(tags).block_device_mappings(disk).send().await.unwrap();
    let id = id(launched.instances());
    let running = fixture.until(&id, InstanceStateName::Running).await;
    let (address, port) = door(&running);
    assert_eq!(address.octets()[0], 127);
    tokio::net::TcpStream::connect((address, port)).await.unwrap();
    let console = fixture.ec2.get_console_output().instance_id(&id).send().await.unwrap();
    let text = base64::engine::general_purpose::STANDARD.decode(console.output().unwrap()).unwrap();
    assert!(String::from_utf8(text).unwrap().contains("-----BEGIN SSH HOST KEY KEYS-----"));

    fixture.ec2.stop_instances().instance_ids(&id).send().await.unwrap();
    let stopped = fixture.until(&id, InstanceStateName::Stopped).await;
    assert_eq!(stopped.public_ip_address(), None);
    assert!(stopped.tags().iter().all(|tag| tag.key() != Some("footplate:ssh-port")));
    assert!(tokio::net::TcpStream::connect((address, port)).await.is_err());
    assert!(folder.path().join("ec2").join(&id).exists());

    fixture.ec2.terminate_instances().instance_ids(&id).send().await.unwrap();
    fixture.until(&id, InstanceStateName::Terminated).await;
    let volumes = Filter::builder().name("attachment.instance-id").values(&id).build();
    assert!(fixture.ec2.describe_volumes().filters(volumes).send().await.unwrap().volumes().is_empty());
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_is_not_seen_at_once_when_that_is_rehearsed() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::open(folder.path(), Ec2Options { unseen: Duration::from_secs(1), ..Ec2Options::default() }).await;
    let before = Instant::now();
    let launched = fixture.launch().client_token("a").send().await.unwrap();
    let id = id(launched.instances());
    let looked = fixture.ec2.describe_instances().instance_ids(&id).send().await;
    let listed = fixture.ec2.describe_instances().send().await.unwrap();
    let again = fixture.launch().client_token("a").send().await.unwrap();
    // Only what was asked within the second says anything.
    if before.elapsed() < Duration::from_secs(1) {
        assert_eq!(refusal(looked).0, "InvalidInstanceID.NotFound");
        assert!(listed.reservations().is_empty());
    }
    assert_eq!(again.instances()[0].instance_id(), Some(id.as_str()));
    let deadline = Instant::now() + DEADLINE;
    while fixture.ec2.describe_instances().instance_ids(&id).send().await.is_err() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(before.elapsed() >= Duration::from_secs(1));
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_come_back_with_the_region_each_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::open(folder.path(), Ec2Options::default()).await;
    let launched = fixture.launch().min_count(2).max_count(2).send().await.unwrap();
    let ids: Vec<String> = launched.instances().iter().map(|one| one.instance_id().unwrap().to_owned()).collect();
    let was = fixture.until(&ids[0], InstanceStateName::Running).await;
    fixture.until(&ids[1], InstanceStateName::Running).await;
    fixture.ec2.stop_instances().instance_ids(&ids[1]).send().await.unwrap();
    fixture.until(&ids[1], InstanceStateName::Stopped).await;
    // Nothing that a command would wait for, as it does for jobs.
    assert!(fixture.region.running().is_empty());
    assert_eq!(fixture.region.instances(), ids[..1]);
    let door_before = door(&was);
    fixture.close().await;
    assert!(tokio::net::TcpStream::connect(door_before).await.is_err());

    let fixture = Fixture::open(folder.path(), Ec2Options::default()).await;
    let now = fixture.one(&ids[0]).await;
    assert_eq!(now.state().and_then(|state| state.name()), Some(&InstanceStateName::Running));
    assert_eq!(now.public_ip_address(), was.public_ip_address());
    assert!(now.state_transition_reason().unwrap().starts_with("Rebooted with the local region ("));
    tokio::net::TcpStream::connect(door(&now)).await.unwrap();
    assert_eq!(fixture.one(&ids[1]).await.state().and_then(|state| state.name()), Some(&InstanceStateName::Stopped));
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_ended_while_it_starts_ends() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::open(folder.path(), Ec2Options::default()).await;
    let launched = fixture.launch().disable_api_termination(true).send().await.unwrap();
    let id = id(launched.instances());
    let refused = refusal(fixture.ec2.terminate_instances().instance_ids(&id).send().await);
    assert_eq!(refused.0, "OperationNotPermitted");
    let free = AttributeBooleanValue::builder().value(false).build();
    fixture.ec2.modify_instance_attribute().instance_id(&id).disable_api_termination(free).send().await.unwrap();
    fixture.ec2.terminate_instances().instance_ids(&id).send().await.unwrap();
    let ended = fixture.until(&id, InstanceStateName::Terminated).await;
    assert_eq!(ended.public_ip_address(), None);
    assert!(fixture.region.instances().is_empty());
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_the_codes_that_clients_go_by() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::open(folder.path(), Ec2Options::default()).await;
    let code = async |call: aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder| {
        refusal(Box::pin(call.send()).await).0
    };
    assert_eq!(code(fixture.launch().dry_run(true)).await, "DryRunOperation");
    assert_eq!(code(fixture.launch().instance_type(InstanceType::G54xlarge)).await, "VcpuLimitExceeded");
    assert_eq!(code(fixture.launch().image_id("ami-0123456789abcdef0")).await, "InvalidAMIID.NotFound");
    let full = Placement::builder().availability_zone("us-east-1a").build();
    let call = fixture.launch().instance_type(InstanceType::M54xlarge).placement(full);
    assert_eq!(code(call).await, "InsufficientInstanceCapacity");
    assert_eq!(code(fixture.launch().client_token("a".repeat(65))).await, "InvalidParameterValue");
    fixture.launch().client_token("a").send().await.unwrap();
    let other = fixture.launch().client_token("a").instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate);
    assert_eq!(code(other).await, "IdempotentParameterMismatch");
    let told = fixture.ec2.describe_instances().send().await.unwrap();
    assert_eq!(told.reservations().len(), 1);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_needs_an_instance_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::open(folder.path(), Ec2Options::default()).await;
    let connect = fixture.connect();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me";
    let send = |id: &str| connect.send_ssh_public_key().instance_id(id).instance_os_user("ubuntu").ssh_public_key(key).send();
    let none = send("i-0123456789abcdef0").await.unwrap_err().into_service_error();
    assert!(none.is_ec2_instance_not_found_exception(), "{none:?}");
    let launched = fixture.launch().send().await.unwrap();
    let id = id(launched.instances());
    fixture.until(&id, InstanceStateName::Running).await;
    let sent = send(&id).await.unwrap();
    assert!(sent.success() && sent.request_id().is_some());
    fixture.ec2.stop_instances().instance_ids(&id).send().await.unwrap();
    let stopped = send(&id).await.unwrap_err().into_service_error();
    assert!(stopped.is_ec2_instance_state_invalid_exception(), "{stopped:?}");
    fixture.close().await;
}
