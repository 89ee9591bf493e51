//! The metadata service of an instance, asked as its programs ask, and what the credentials from there are good for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::{
    HttpTokensState, IamInstanceProfileSpecification, InstanceMetadataEndpointState, InstanceMetadataOptionsRequest,
    InstanceMetadataTagsState, InstanceStateName, ResourceType, Tag, TagSpecification,
};
use base64::Engine as _;
use footplate::local::Ec2Options;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{DEADLINE, Fixture, id, refusal};

const TOKEN: &str = "X-aws-ec2-metadata-token";
const TTL: &str = "X-aws-ec2-metadata-token-ttl-seconds";
/// Says on the console what its programs are told.
const TELLING: &str = "#!/bin/bash\nenv | sed -n 's/^AWS_/told AWS_/p'\necho told all=yes\n";

/// An instance that runs, and what its programs are told.
struct Machine {
    id: String,
    told: BTreeMap<String, String>,
}

impl Machine {
    async fn up(fixture: &Fixture, profile: Option<&str>, options: InstanceMetadataOptionsRequest) -> Self {
        let profile = profile.map(|name| IamInstanceProfileSpecification::builder().name(name).build());
        let tag = Tag::builder().key("Name").value("it").build();
        let launched = fixture
            .launch()
            .user_data(base64::engine::general_purpose::STANDARD.encode(TELLING))
            .metadata_options(options)
            .tag_specifications(TagSpecification::builder().resource_type(ResourceType::Instance).tags(tag).build())
            .set_iam_instance_profile(profile);
        let id = id(Box::pin(launched.send()).await.unwrap().instances());
        fixture.until(&id, InstanceStateName::Running).await;
        let deadline = Instant::now() + DEADLINE;
        loop {
            let console = fixture.ec2.get_console_output().instance_id(&id).send().await.unwrap();
            let text = console.output().map(|output| base64::engine::general_purpose::STANDARD.decode(output).unwrap());
            let text = String::from_utf8(text.unwrap_or_default()).unwrap();
            let told = text.lines().filter_map(|line| line.trim_end().strip_prefix("told ")?.split_once('='));
            let told: BTreeMap<String, String> = told.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            if told.contains_key("all") {
                return Self { id, told };
            }
            assert!(Instant::now() < deadline, "{text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn address(&self) -> &str {
        self.told["AWS_EC2_METADATA_SERVICE_ENDPOINT"].strip_prefix("http://").unwrap()
    }

    /// One request; status and body, and the head before it.
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String, String) {
        let mut stream = tokio::net::TcpStream::connect(self.address()).await.unwrap();
        let host = [("Host", self.address()), ("Connection", "close")];
        let own = if headers.iter().any(|(name, _)| *name == "Host") { &host[1..] } else { &host[..] };
        let lines = own.iter().chain(headers).fold(String::new(), |lines, (name, value)| lines + name + ": " + value + "\r\n");
        stream.write_all(format!("{method} {path} HTTP/1.1\r\n{lines}\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, body.to_owned(), head.to_lowercase())
    }

    async fn token(&self) -> String {
        let (status, token, head) = self.ask("PUT", "/latest/api/token", &[(TTL, "21600")]).await;
        assert_eq!(status, 200, "{head}");
        assert!(head.contains("x-aws-ec2-metadata-token-ttl-seconds: 21600"), "{head}");
        token
    }

    async fn get(&self, token: &str, path: &str) -> (u16, String) {
        let (status, body, _) = self.ask("GET", path, &[(TOKEN, token)]).await;
        (status, body)
    }

    /// The credentials of its role.
    async fn credentials(&self, role: &str) -> serde_json::Value {
        let token = self.token().await;
        let (status, text) = self.get(&token, &format!("/latest/meta-data/iam/security-credentials/{role}")).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// S3 as a program of the instance has it, with a session token of its choice.
    fn s3(&self, keys: &serde_json::Value, token: Option<&str>) -> aws_sdk_s3::Client {
        let text = |member: &str| keys[member].as_str().unwrap().to_owned();
        let keys = Credentials::new(text("AccessKeyId"), text("SecretAccessKey"), token.map(str::to_owned), None, "test");
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
            .region(aws_sdk_s3::config::Region::new(self.told["AWS_REGION"].clone()))
            .credentials_provider(keys)
            .force_path_style(true)
            .endpoint_url(&self.told["AWS_ENDPOINT_URL"]);
        aws_sdk_s3::Client::from_conf(config.build())
    }
}

fn options() -> aws_sdk_ec2::types::builders::InstanceMetadataOptionsRequestBuilder {
    InstanceMetadataOptionsRequest::builder()
        .http_tokens(HttpTokensState::Required)
        .instance_metadata_tags(InstanceMetadataTagsState::Enabled)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_told_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::open(folder.path(), Ec2Options::default()).await;
    let machine = Machine::up(&fixture, Some("trainer"), options().build()).await;
    let it = fixture.one(&machine.id).await;
    let profile = it.iam_instance_profile().unwrap();
    assert_eq!(profile.arn(), Some("arn:aws:iam::000000000000:instance-profile/trainer"));
    assert!(machine.address().starts_with(&format!("{}:", it.public_ip_address().unwrap())));

    let token = machine.token().await;
    let get = async |path: &str| machine.get(&token, path).await;
    let value = async |path: &str| match get(path).await {
        (200, text) => text,
        (status, _) => format!("{status}"),
    };
    assert_eq!(value("/latest").await, "dynamic/\nmeta-data/\nuser-data");
    let listed = value("/latest/meta-data/").await;
    assert!(listed.starts_with("ami-id\n") && listed.contains("\niam/\n") && !listed.contains("spot"), "{listed}");
    for (path, wanted) in [
        ("instance-id", machine.id.as_str()),
        ("ami-id", it.image_id().unwrap()),
        ("instance-type", "t3.medium"),
        ("local-ipv4", it.private_ip_address().unwrap()),
        ("public-ipv4", it.public_ip_address().unwrap()),
        ("hostname", it.private_dns_name().unwrap()),
        ("placement/availability-zone", it.placement().unwrap().availability_zone().unwrap()),
        ("placement/region", "us-east-1"),
        ("security-groups", "default"),
        ("instance-life-cycle", "on-demand"),
        ("tags/instance/Name", "it"),
        ("iam/security-credentials/", "trainer"),
        ("spot/instance-action", "404"),
        ("public-keys/", "404"),
        ("instance-id/", machine.id.as_str()),
        ("instance-id/x", "404"),
        ("", &listed),
    ] {
        assert_eq!(value(&format!("/latest/meta-data/{path}")).await, wanted, "{path}");
    }
    let mac = value("/latest/meta-data/mac").await;
    let subnet = value(&format!("/latest/meta-data/network/interfaces/macs/{mac}/subnet-id")).await;
    assert_eq!(subnet, it.subnet_id().unwrap());
    assert_eq!(value("/latest/user-data").await, TELLING);
    let info: serde_json::Value = serde_json::from_str(&value("/latest/meta-data/iam/info").await).unwrap();
    assert_eq!((info["InstanceProfileArn"].as_str(), info["InstanceProfileId"].as_str()), (profile.arn(), profile.id()));
    let document: serde_json::Value = serde_json::from_str(&value("/latest/dynamic/instance-identity/document").await).unwrap();
    assert_eq!((&document["instanceId"], &document["accountId"]), (&machine.id.clone().into(), &"000000000000".into()));
    assert_eq!(get("/2099-01-01/meta-data/").await.0, 404);
    let (status, body, head) = machine.ask("HEAD", "/latest/meta-data/instance-id", &[(TOKEN, &token)]).await;
    assert!(status == 200 && body.is_empty() && head.contains(&format!("content-length: {}", machine.id.len())), "{head}");
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_wrongly_is_refused_as_by_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::open(folder.path(), Ec2Options::default()).await;
    let machine = Machine::up(&fixture, None, options().build()).await;
    let path = "/latest/meta-data/instance-id";
    let status = async |method: &str, path: &str, headers: &[(&str, &str)]| machine.ask(method, path, headers).await.0;
    let token = machine.token().await;
    for ttl in ["0", "21601", "-1", "1h", ""] {
        assert_eq!(status("PUT", "/latest/api/token", &[(TTL, ttl)]).await, 400, "{ttl:?}");
    }
    assert_eq!(status("PUT", "/latest/api/token", &[]).await, 400);
    assert_eq!(status("PUT", "/latest/api/token", &[(TTL, "60"), ("X-Forwarded-For", "203.0.113.7")]).await, 403);
    assert_eq!(status("GET", path, &[]).await, 401, "no token");
    assert_eq!(status("HEAD", path, &[]).await, 401);
    assert_eq!(status("GET", path, &[(TOKEN, "AQAEALu")]).await, 401, "not ours");
    let other = Machine::up(&fixture, None, options().build()).await;
    assert_eq!(status("GET", path, &[(TOKEN, &other.token().await)]).await, 401, "another instance's");
    assert_eq!(status("GET", "/latest/api/token", &[(TOKEN, &token)]).await, 405);
    assert_eq!(status("PUT", path, &[(TOKEN, &token)]).await, 405);
    assert_eq!(status("DELETE", path, &[(TOKEN, &token)]).await, 405);
    for (header, value) in [("Host", "evil.example"), ("Origin", "https://evil.example"), ("Sec-Fetch-Mode", "cors")] {
        assert_eq!(status("GET", path, &[(TOKEN, &token), (header, value)]).await, 403, "{header}");
    }
    let (_, body, head) = machine.ask("GET", "/latest/nothing", &[(TOKEN, &token)]).await;
    assert!(body.contains("<title>404 - Not Found</title>") && head.contains("text/html"), "{head}\n{body}");
    // Without a profile there is nothing to sign with.
    assert_eq!(status("GET", "/latest/meta-data/iam/", &[(TOKEN, &token)]).await, 404);
    assert_eq!(status("GET", "/latest/meta-data/iam/security-credentials/", &[(TOKEN, &token)]).await, 404);

    let (_, short, _) = machine.ask("PUT", "/latest/api/token", &[(TTL, "1")]).await;
    let deadline = Instant::now() + DEADLINE;
    while machine.get(&short, path).await.0 != 401 {
        assert!(Instant::now() < deadline, "the token does not expire");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let first = options().http_tokens(HttpTokensState::Optional).instance_metadata_tags(InstanceMetadataTagsState::Disabled);
    let machine = Machine::up(&fixture, None, first.build()).await;
    assert_eq!(machine.ask("GET", path, &[]).await.1, machine.id, "version 1");
    assert_eq!(machine.ask("GET", path, &[(TOKEN, "AQAEALu")]).await.0, 401);
    assert_eq!(machine.ask("GET", "/latest/meta-data/tags/", &[]).await.0, 404);
    let off = Machine::up(&fixture, None, options().http_endpoint(InstanceMetadataEndpointState::Disabled).build()).await;
    assert_eq!(off.ask("PUT", "/latest/api/token", &[(TTL, "60")]).await.0, 403);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credentials_of_a_role_open_the_region_until_they_expire() {
    let folder = tempfile::tempdir().unwrap();
    let life = Duration::from_secs(5);
    let fixture = Fixture::open(folder.path(), Ec2Options { role_life: Some(life), ..Ec2Options::default() }).await;
    let machine = Machine::up(&fixture, Some("trainer"), options().build()).await;
    let keys = machine.credentials("trainer").await;
    assert_eq!((&keys["Code"], &keys["Type"]), (&"Success".into(), &"AWS-HMAC".into()));
    let token = keys["Token"].as_str().unwrap();
    let s3 = machine.s3(&keys, Some(token));
    s3.create_bucket().bucket("dogs").send().await.unwrap();
    s3.put_object().bucket("dogs").key("ada.txt").body(b"woof".to_vec().into()).send().await.unwrap();
    let got = s3.get_object().bucket("dogs").key("ada.txt").send().await.unwrap().body.collect().await.unwrap();
    assert_eq!(got.into_bytes(), "woof");
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
        .region(aws_sdk_sts::config::Region::new("us-east-1"))
        .credentials_provider(Credentials::new(
            keys["AccessKeyId"].as_str().unwrap(),
            keys["SecretAccessKey"].as_str().unwrap(),
            Some(token.to_owned()),
            None,
            "test",
        ))
        .endpoint_url(&machine.told["AWS_ENDPOINT_URL"]);
    let who = aws_sdk_sts::Client::from_conf(config.build()).get_caller_identity().send().await.unwrap();
    assert_eq!(who.arn(), Some(&*format!("arn:aws:sts::000000000000:assumed-role/trainer/{}", machine.id)));

    // The key alone is nothing, nor is it with another token.
    let code = async |client: &aws_sdk_s3::Client| match client.list_buckets().send().await {
        Ok(_) => "fine".to_owned(),
        Err(error) => error.code().unwrap_or_default().to_owned(),
    };
    assert_eq!(code(&machine.s3(&keys, None)).await, "InvalidToken");
    assert_eq!(code(&machine.s3(&keys, Some("LocalSession00"))).await, "InvalidToken");
    let deadline = Instant::now() + DEADLINE;
    while code(&s3).await != "ExpiredToken" {
        assert!(Instant::now() < deadline, "the credentials do not expire: {}", code(&s3).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let renewed = machine.credentials("trainer").await;
    assert_ne!(renewed["AccessKeyId"], keys["AccessKeyId"]);
    assert_eq!(code(&machine.s3(&renewed, renewed["Token"].as_str())).await, "fine");
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_can_be_given_and_taken_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::open(folder.path(), Ec2Options::default()).await;
    let machine = Machine::up(&fixture, None, options().build()).await;
    let given =
        IamInstanceProfileSpecification::builder().arn("arn:aws:iam::000000000000:instance-profile/teams/trainer").build();
    let associate = || fixture.ec2.associate_iam_instance_profile().instance_id(&machine.id).iam_instance_profile(given.clone());
    let made = associate().send().await.unwrap();
    let association = made.iam_instance_profile_association().and_then(|one| one.association_id()).unwrap().to_owned();
    assert!(machine.credentials("trainer").await["AccessKeyId"].as_str().unwrap().starts_with("LOCALROLE"));
    assert_eq!(refusal(associate().send().await).0, "IncorrectState");
    let told = fixture.ec2.describe_iam_instance_profile_associations().send().await.unwrap();
    assert_eq!(told.iam_instance_profile_associations()[0].association_id(), Some(&*association));
    let take = || fixture.ec2.disassociate_iam_instance_profile().association_id(&association);
    take().send().await.unwrap();
    let token = machine.token().await;
    assert_eq!(machine.get(&token, "/latest/meta-data/iam/info").await.0, 404);
    assert_eq!(refusal(take().send().await).0, "NoSuchAssociation");
    let foreign = IamInstanceProfileSpecification::builder().arn("arn:aws:iam::111122223333:instance-profile/x").build();
    let launch = fixture.launch().iam_instance_profile(foreign);
    assert_eq!(refusal(Box::pin(launch.send()).await).0, "InvalidParameterValue");
    fixture.close().await;
}
