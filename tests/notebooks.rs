//! Notebook instances and Studio in the local region, with the real AWS SDK through its TCP door; and what the door lets a
//! browser have.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_sdk_sagemaker::Client;
use aws_sdk_sagemaker::config::{BehaviorVersion, Region};
use aws_sdk_sagemaker::error::ProvideErrorMetadata;
use aws_sdk_sagemaker::types::{
    AppInstanceType, AppType, AuthMode, InstanceType, JupyterServerAppSettings, KernelGatewayAppSettings, NotebookInstanceStatus,
    OrderKey, OwnershipSettings, ResourceSpec, SharingType, SpaceSettings, SpaceSharingSettings, Tag, UserSettings,
};
use footplate::local::sagemaker::EngineOptions;
use footplate::local::{LocalRegion, Options};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

/// Nothing here takes nearly as long; a machine under load may.
const DEADLINE: Duration = Duration::from_mins(1);
const ROLE: &str = "arn:aws:iam::000000000000:role/footplate-local-execution-role";

struct Fixture {
    region: Arc<LocalRegion>,
    port: u16,
    stop: CancellationToken,
    sagemaker: Client,
}

impl Fixture {
    async fn open(folder: &Path) -> Self {
        let engine = EngineOptions {
            keeper: PathBuf::from("/bin/false"),
            python: PathBuf::from("python3"),
            speed: 20.0,
            memory_bytes: None,
            disk_bytes: None,
            seconds: None,
        };
        let options = Options { folder: folder.to_owned(), region: "us-east-1".to_owned(), engine };
        // An earlier region may hold the folder for a moment longer: its door lets go of it last.
        let deadline = Instant::now() + DEADLINE;
        let region = loop {
            match LocalRegion::open(options.clone()).await {
                Ok(region) => break region,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = CancellationToken::new();
        tokio::spawn(Arc::clone(&region).serve_tcp(listener, stop.clone()));
        let keys = region.credentials();
        let config = aws_sdk_sagemaker::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new(&keys.access_key_id, &keys.secret_access_key, None, None, "test"))
            .endpoint_url(format!("http://127.0.0.1:{port}"));
        Self { sagemaker: Client::from_conf(config.build()), region, port, stop }
    }

    async fn create(&self, name: &str) -> String {
        let call = self.sagemaker.create_notebook_instance().notebook_instance_name(name).instance_type(InstanceType::MlT3Medium);
        call.role_arn(ROLE).send().await.unwrap().notebook_instance_arn.unwrap()
    }

    async fn until(&self, name: &str, wanted: NotebookInstanceStatus) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let told = self.sagemaker.describe_notebook_instance().notebook_instance_name(name).send().await.unwrap();
            if told.notebook_instance_status() == Some(&wanted) {
                return;
            }
            assert!(Instant::now() < deadline, "{name} is still {:?}", told.notebook_instance_status());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A domain in service, with one profile in service.
    async fn studio(&self) -> String {
        let settings = UserSettings::builder().execution_role(ROLE).build();
        let call = self.sagemaker.create_domain().domain_name("lab").auth_mode(AuthMode::Iam).default_user_settings(settings);
        let call = Box::pin(call.vpc_id("vpc-1").subnet_ids("subnet-1").send());
        let domain = call.await.unwrap().domain_id.unwrap();
        self.settled(async || {
            let told = self.sagemaker.describe_domain().domain_id(&domain).send().await.ok()?;
            told.status.map(|status| status.as_str().to_owned())
        })
        .await;
        self.sagemaker.create_user_profile().domain_id(&domain).user_profile_name("ann").send().await.unwrap();
        self.settled(async || {
            let told = self.sagemaker.describe_user_profile().domain_id(&domain).user_profile_name("ann").send().await.ok()?;
            told.status.map(|status| status.as_str().to_owned())
        })
        .await;
        domain
    }

    async fn app_status(&self, domain: &str, space: &str) -> Option<String> {
        let call = self.sagemaker.describe_app().domain_id(domain).space_name(space).app_type(AppType::JupyterLab);
        let told = call.app_name("default").send().await.ok()?;
        told.status.map(|status| status.as_str().to_owned())
    }

    /// The status of something when it changes no more; `None` when it is gone.
    async fn settled(&self, status: impl AsyncFn() -> Option<String>) -> Option<String> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match status().await {
                Some(status) if ["Pending", "Updating", "Deleting"].contains(&status.as_str()) => {}
                other => return other,
            }
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks for a path as some program does, with these headers; head and body of the answer.
    async fn visit(&self, method: &str, path: &str, headers: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let host = format!("Host: 127.0.0.1:{}", self.port);
        let request = format!("{method} {path} HTTP/1.1\r\n{host}\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("an answer and the end").ok();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The path of a new presigned URL of a notebook instance; it leads to this door.
    async fn link(&self, name: &str) -> String {
        let call = self.sagemaker.create_presigned_notebook_instance_url().notebook_instance_name(name);
        let url = call.send().await.unwrap().authorized_url.unwrap();
        url.strip_prefix(&format!("http://127.0.0.1:{}", self.port)).expect(&url).to_owned()
    }
}

/// What a browser sends for an address that its user types.
const TYPED: &str = "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n";

/// Code and message of a refused call.
fn refusal<T: Debug, E: ProvideErrorMetadata>(result: Result<T, E>) -> (String, String) {
    match result {
        Ok(answer) => panic!("was not refused: {answer:?}"),
        Err(error) => (error.code().unwrap_or_default().to_owned(), error.message().unwrap_or_default().to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notebook_instance_lives_as_on_aws() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::open(folder.path()).await;
    let sagemaker = &fixture.sagemaker;
    let arn = fixture.create("My-Nb").await;
    assert_eq!(arn, "arn:aws:sagemaker:us-east-1:000000000000:notebook-instance/my-nb");
    let again = sagemaker.create_notebook_instance().notebook_instance_name("my-nb").instance_type(InstanceType::MlT3Medium);
    assert_eq!(refusal(again.role_arn(ROLE).send().await).0, "ValidationException");

    fixture.until("My-Nb", NotebookInstanceStatus::InService).await;
    let told = sagemaker.describe_notebook_instance().notebook_instance_name("My-Nb").send().await.unwrap();
    assert_eq!((told.volume_size_in_gb, told.platform_identifier()), (Some(5), Some("notebook-al2023-v1")));
    assert!(told.last_modified_time() > told.creation_time());

    let running = sagemaker.delete_notebook_instance().notebook_instance_name("My-Nb").send().await;
    assert_eq!(
        refusal(running),
        (
            "ValidationException".to_owned(),
            format!(
                "Status (InService) not in ([Stopped, Failed]). Unable to transition to (Deleting) for Notebook Instance ({arn})."
            )
        )
    );
    assert!(
        refusal(sagemaker.start_notebook_instance().notebook_instance_name("My-Nb").send().await)
            .1
            .starts_with("Status (InService)")
    );

    sagemaker.stop_notebook_instance().notebook_instance_name("My-Nb").send().await.unwrap();
    fixture.until("My-Nb", NotebookInstanceStatus::Stopped).await;
    let closed = sagemaker.create_presigned_notebook_instance_url().notebook_instance_name("My-Nb").send().await;
    assert!(refusal(closed).1.contains("Start it first"));
    let update = sagemaker.update_notebook_instance().notebook_instance_name("My-Nb").instance_type(InstanceType::MlM5Xlarge);
    update.volume_size_in_gb(20).send().await.unwrap();
    fixture.until("My-Nb", NotebookInstanceStatus::Stopped).await;
    let smaller = sagemaker.update_notebook_instance().notebook_instance_name("My-Nb").volume_size_in_gb(10).send().await;
    assert!(refusal(smaller).1.contains("can only grow"));
    sagemaker.start_notebook_instance().notebook_instance_name("My-Nb").send().await.unwrap();
    fixture.until("My-Nb", NotebookInstanceStatus::InService).await;
    let listed = sagemaker.list_notebook_instances().send().await.unwrap();
    assert_eq!(listed.notebook_instances()[0].instance_type(), Some(&InstanceType::MlM5Xlarge));

    sagemaker.stop_notebook_instance().notebook_instance_name("My-Nb").send().await.unwrap();
    fixture.until("My-Nb", NotebookInstanceStatus::Stopped).await;
    sagemaker.delete_notebook_instance().notebook_instance_name("My-Nb").send().await.unwrap();
    let gone = fixture
        .settled(async || {
            let told = sagemaker.describe_notebook_instance().notebook_instance_name("My-Nb").send().await.ok()?;
            told.notebook_instance_status.map(|status| status.as_str().to_owned())
        })
        .await;
    assert_eq!(gone, None);
    let unknown = sagemaker.describe_notebook_instance().notebook_instance_name("My-Nb").send().await;
    assert_eq!(refusal(unknown), ("ValidationException".to_owned(), "RecordNotFound".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::open(folder.path()).await;
    let create = |name: &str| {
        let call = fixture.sagemaker.create_notebook_instance().notebook_instance_name(name);
        call.instance_type(InstanceType::MlT3Medium).role_arn(ROLE)
    };
    let said = |refused: (String, String)| refused.1;
    assert!(said(refusal(create("under_score").send().await)).contains("at 'notebookInstanceName' failed to satisfy constraint"));
    let strange = create("a").instance_type(InstanceType::from("ml.nosuch.large")).send().await;
    assert!(said(refusal(strange)).contains("Member must satisfy enum value set"));
    let role = create("a").role_arn("arn:aws:iam::111111111111:role/other").send().await;
    assert!(said(refusal(role)).starts_with("Could not assume role arn:aws:iam::111111111111:role/other."));
    let gpu = refusal(create("a").instance_type(InstanceType::MlG4DnXlarge).send().await);
    assert_eq!(gpu.0, "ResourceLimitExceeded");
    assert!(gpu.1.starts_with("The account-level service limit 'ml.g4dn.xlarge for notebook instance usage' is 0 Instances"));
    let hooks = create("a").lifecycle_config_name("hooks").send().await;
    assert!(said(refusal(hooks)).contains("Leave LifecycleConfigName out"));
    for name in ["n1", "n2", "n3", "n4"] {
        fixture.create(name).await;
    }
    assert!(said(refusal(create("n5").send().await)).contains("with current utilization of 4 Instances"));
    assert_eq!(fixture.sagemaker.list_notebook_instances().send().await.unwrap().notebook_instances().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (arn, domain) = {
        let fixture = Fixture::open(folder.path()).await;
        let arn = fixture.create("nb").await;
        let tag = Tag::builder().key("team").value("vision").build();
        fixture.sagemaker.add_tags().resource_arn(&arn).tags(tag).send().await.unwrap();
        let domain = fixture.studio().await;
        fixture.stop.cancel();
        fixture.region.close().await;
        (arn, domain)
    };
    let fixture = Fixture::open(folder.path()).await;
    fixture.until("nb", NotebookInstanceStatus::InService).await;
    let tags = fixture.sagemaker.list_tags().resource_arn(&arn).send().await.unwrap();
    assert_eq!(tags.tags()[0].value(), Some("vision"));
    let profiles = fixture.sagemaker.list_user_profiles().domain_id_equals(&domain).send().await.unwrap();
    assert_eq!(profiles.user_profiles()[0].user_profile_name(), Some("ann"));
}

#[tokio::test(flavor = "multi_thread")]
async fn studio_is_taken_down_from_the_inside_out() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::open(folder.path()).await;
    let sagemaker = &fixture.sagemaker;
    let domain = fixture.studio().await;
    let owner = OwnershipSettings::builder().owner_user_profile_name("ann").build();
    let sharing = SpaceSharingSettings::builder().sharing_type(SharingType::Private).build();
    let space = sagemaker.create_space().domain_id(&domain).space_name("desk").ownership_settings(owner);
    let settings = SpaceSettings::builder().app_type(AppType::JupyterLab).build();
    space.space_sharing_settings(sharing).space_settings(settings).send().await.unwrap();
    let space = async || {
        let told = sagemaker.describe_space().domain_id(&domain).space_name("desk").send().await.ok()?;
        told.status.map(|status| status.as_str().to_owned())
    };
    assert_eq!(fixture.settled(space).await.as_deref(), Some("InService"));
    let create =
        || sagemaker.create_app().domain_id(&domain).space_name("desk").app_type(AppType::JupyterLab).app_name("default");
    let arn = create().send().await.unwrap().app_arn.unwrap();
    assert_eq!(arn, format!("arn:aws:sagemaker:us-east-1:000000000000:app/{domain}/desk/jupyterlab/default"));
    assert_eq!(refusal(create().send().await).0, "ResourceInUse");
    let status = async || fixture.app_status(&domain, "desk").await;
    assert_eq!(fixture.settled(status).await.as_deref(), Some("InService"));
    let apps = sagemaker.list_apps().domain_id_equals(&domain).space_name_equals("desk").send().await.unwrap();
    let spec = apps.apps()[0].resource_spec().unwrap();
    assert_eq!(spec.instance_type(), Some(&AppInstanceType::MlT3Medium));

    // Inner ones keep outer ones.
    let ends = |refused: (String, String), text: &str| {
        assert_eq!(refused.0, "ResourceInUse");
        assert!(refused.1.ends_with(text), "{}", refused.1);
    };
    let delete_space = || sagemaker.delete_space().domain_id(&domain).space_name("desk").send();
    let delete_profile = || sagemaker.delete_user_profile().domain_id(&domain).user_profile_name("ann").send();
    let delete_domain = || sagemaker.delete_domain().domain_id(&domain).send();
    ends(refusal(delete_space().await), "because App(s) are associated with it.");
    ends(refusal(delete_profile().await), "because Space(s) are associated with it.");
    ends(refusal(delete_domain().await), "because UserProfile(s) are associated with it.");

    let delete =
        || sagemaker.delete_app().domain_id(&domain).space_name("desk").app_type(AppType::JupyterLab).app_name("default");
    delete().send().await.unwrap();
    assert_eq!(fixture.settled(status).await.as_deref(), Some("Deleted"), "a stopped app is still listed");
    assert_eq!(refusal(delete().send().await).0, "ResourceNotFound");
    create().send().await.expect("an app that was stopped can be started again");
    assert_eq!(fixture.settled(status).await.as_deref(), Some("InService"));
    delete().send().await.unwrap();
    fixture.settled(status).await;
    delete_space().await.unwrap();
    assert_eq!(fixture.settled(space).await, None);
    delete_profile().await.unwrap();
    let profile = async || {
        let told = sagemaker.describe_user_profile().domain_id(&domain).user_profile_name("ann").send().await.ok()?;
        told.status.map(|status| status.as_str().to_owned())
    };
    assert_eq!(fixture.settled(profile).await, None);
    delete_domain().await.unwrap();
    let described = async || {
        let told = sagemaker.describe_domain().domain_id(&domain).send().await.ok()?;
        told.status.map(|status| status.as_str().to_owned())
    };
    assert_eq!(fixture.settled(described).await, None);
    assert!(sagemaker.list_domains().send().await.unwrap().domains().is_empty());
    assert_eq!(refusal(sagemaker.describe_domain().domain_id(&domain).send().await).0, "ResourceNotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_runs_on_the_type_that_is_set_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::open(folder.path()).await;
    let sagemaker = &fixture.sagemaker;
    let domain = fixture.studio().await;
    let app = |kind: AppType, name: &str| {
        sagemaker.create_app().domain_id(&domain).user_profile_name("ann").app_type(kind).app_name(name)
    };
    let small = || ResourceSpec::builder().instance_type(AppInstanceType::MlT3Medium).build();
    assert!(refusal(app(AppType::KernelGateway, "k").send().await).1.starts_with("No InstanceType for the KernelGateway app"));
    app(AppType::KernelGateway, "k").resource_spec(small()).send().await.unwrap();
    app(AppType::JupyterServer, "default").send().await.unwrap();
    assert!(refusal(app(AppType::JupyterServer, "other").send().await).1.contains("must be default"));
    assert!(refusal(app(AppType::JupyterLab, "default").send().await).1.contains("Send SpaceName"));
    assert!(refusal(app(AppType::Canvas, "default").send().await).1.contains("not part of the local region"));
    let gpu = ResourceSpec::builder().instance_type(AppInstanceType::MlG4DnXlarge).build();
    let (code, text) = refusal(app(AppType::KernelGateway, "g").resource_spec(gpu).send().await);
    assert_eq!(code, "ResourceLimitExceeded");
    assert!(text.contains("'Studio KernelGateway Apps running on ml.g4dn.xlarge instance' is 0 Apps"), "{text}");
    let types: Vec<_> = sagemaker.list_apps().domain_id_equals(&domain).send().await.unwrap().apps.unwrap_or_default();
    let mut types: Vec<_> = types.iter().filter_map(|app| app.resource_spec()?.instance_type().cloned()).collect();
    types.sort();
    assert_eq!(types, [AppInstanceType::MlT3Medium, AppInstanceType::System]);

    // A profile's own default.
    let gateway = KernelGatewayAppSettings::builder().default_resource_spec(small()).build();
    let settings = UserSettings::builder()
        .kernel_gateway_app_settings(gateway)
        .jupyter_server_app_settings(JupyterServerAppSettings::builder().build());
    let profile = sagemaker.create_user_profile().domain_id(&domain).user_profile_name("bob").user_settings(settings.build());
    profile.send().await.unwrap();
    let bob = async || {
        let told = sagemaker.describe_user_profile().domain_id(&domain).user_profile_name("bob").send().await.ok()?;
        told.status.map(|status| status.as_str().to_owned())
    };
    fixture.settled(bob).await;
    let call = sagemaker.create_app().domain_id(&domain).user_profile_name("bob").app_type(AppType::KernelGateway);
    call.app_name("k").send().await.unwrap();
    let both = sagemaker.list_apps().user_profile_name_equals("a").space_name_equals("b").send().await;
    assert_eq!(refusal(both).0, "ValidationException");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_sorted_and_cut_into_pages() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::open(folder.path()).await;
    for name in ["b", "c", "a"] {
        fixture.create(name).await;
    }
    let listed = async |by: Option<&str>| {
        let call = fixture.sagemaker.list_notebook_instances().set_sort_by(by.map(Into::into)).max_results(2);
        let mut pages = call.into_paginator().items().send();
        let mut listed = Vec::new();
        while let Some(one) = pages.next().await {
            listed.push(one.unwrap());
        }
        listed
    };
    let by_name = listed(None).await;
    let names: Vec<_> = by_name.iter().filter_map(|one| one.notebook_instance_name()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let by_time = listed(Some("CreationTime")).await;
    assert_eq!(by_time.len(), 3);
    assert!(by_time.is_sorted_by_key(|one| one.creation_time().copied()));
    let apps = fixture.sagemaker.list_spaces().sort_order(OrderKey::Ascending.as_str().into()).send().await.unwrap();
    assert!(apps.spaces().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presigned_url_opens_a_page_once_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::open(folder.path()).await;
    fixture.create("nb").await;
    fixture.until("nb", NotebookInstanceStatus::InService).await;

    let link = fixture.link("nb").await;
    let page = fixture.visit("GET", &link, TYPED).await;
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("content-type: text/html; charset=utf-8"), "{page}");
    assert!(
        page.contains("Notebook instance nb") && page.contains("ml.t3.medium") && page.contains("it runs no Jupyter"),
        "{page}"
    );
    assert!(page.contains("cache-control: no-store") && page.contains("default-src 'none'"));
    let again = fixture.visit("GET", &link, TYPED).await;
    assert!(again.starts_with("HTTP/1.1 403") && again.contains("used already"), "{again}");

    // What pages do, not users; and a guess ahead of the user. None of it uses the token up.
    let link = fixture.link("nb").await;
    for (method, headers) in [
        ("GET", "Origin: http://evil.example\r\n"),
        ("GET", "Sec-Fetch-Dest: iframe\r\nSec-Fetch-Mode: navigate\r\n"),
        ("GET", "Sec-Fetch-Dest: image\r\nSec-Fetch-Mode: no-cors\r\n"),
        ("GET", "Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Purpose: prefetch\r\n"),
        ("POST", ""),
        ("HEAD", ""),
        ("OPTIONS", "Origin: http://evil.example\r\nAccess-Control-Request-Method: GET\r\n"),
    ] {
        let answer = fixture.visit(method, &link, headers).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{method} {headers}{answer}");
    }
    let (path, token) = link.split_once('?').unwrap();
    for other in
        [path.to_owned(), format!("{path}/?{token}"), format!("/x?{token}"), format!("/?{token}"), format!("{path}?authToken=")]
    {
        let answer = fixture.visit("GET", &other, TYPED).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{other}: {answer}");
    }
    assert!(fixture.visit("GET", &link, "").await.starts_with("HTTP/1.1 200"), "it still opens for the one who has it");

    // Everything else stays closed to browsers.
    let bucket = fixture.visit("GET", "/bucket/key", TYPED).await;
    assert!(bucket.starts_with("HTTP/1.1 403") && bucket.contains("not web pages"), "{bucket}");
}

#[tokio::test(flavor = "multi_thread")]
async fn studio_opens_for_a_profile() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::open(folder.path()).await;
    let domain = fixture.studio().await;
    let call = fixture.sagemaker.create_presigned_domain_url().domain_id(&domain).user_profile_name("ann");
    let url = call.clone().expires_in_seconds(60).send().await.unwrap().authorized_url.unwrap();
    let path = url.strip_prefix(&format!("http://127.0.0.1:{}", fixture.port)).expect(&url);
    let page = fixture.visit("GET", path, TYPED).await;
    assert!(page.contains("Studio for ann") && page.contains("signed in as"), "{page}");
    assert!(refusal(call.clone().expires_in_seconds(4).send().await).1.contains("greater than or equal to 5"));
    assert_eq!(refusal(call.user_profile_name("nobody").send().await).0, "ResourceNotFound");
}
