//! A way to an instance that can fail as networks do: what goes by it is handed on, soon or slowly, is swallowed without a word,
//! or is turned away.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_ec2::types::Tag;

use crate::binary::Home;

/// Stands at the instance's address, at a port of its own, which the instance's tag names from now on.
pub struct Way {
    /// Nobody comes through any more.
    down: Arc<AtomicBool>,
    /// It is a slow line: 8 MB a second at most.
    narrow: Arc<AtomicBool>,
    /// Those that go by now: each with whether it still hands on.
    passing: Arc<Mutex<Vec<Arc<AtomicBool>>>>,
}

impl Way {
    /// Before the instance of the region that is served in this home.
    pub fn before(home: &Home, instance: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ec2 = client(home);
        let told = runtime.block_on(ec2.describe_instances().instance_ids(instance).send()).unwrap();
        let it = &told.reservations()[0].instances()[0];
        let address: IpAddr = it.public_ip_address().unwrap().parse().unwrap();
        let tag = it.tags().iter().find(|tag| tag.key() == Some("footplate:ssh-port"));
        let port: u16 = tag.and_then(|tag| tag.value()).map_or(22, |port| port.parse().unwrap());
        let listener = TcpListener::bind((address, 0)).unwrap();
        let own = listener.local_addr().unwrap().port();
        let group = it.security_groups()[0].group_id().unwrap();
        let open = ec2.authorize_security_group_ingress().group_id(group).ip_protocol("tcp").cidr_ip("127.0.0.1/32");
        runtime.block_on(open.from_port(own.into()).to_port(own.into()).send()).unwrap();
        let tag = Tag::builder().key("footplate:ssh-port").value(own.to_string()).build();
        runtime.block_on(ec2.create_tags().resources(instance).tags(tag).send()).unwrap();
        let way = Self { down: Arc::default(), narrow: Arc::default(), passing: Arc::default() };
        let (down, narrow, passing) = (Arc::clone(&way.down), Arc::clone(&way.narrow), Arc::clone(&way.passing));
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if down.load(Ordering::SeqCst) {
                    continue;
                }
                let far = TcpStream::connect((address, port)).unwrap();
                let open = Arc::new(AtomicBool::new(true));
                passing.lock().unwrap().push(Arc::clone(&open));
                for (from, to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                    let (open, narrow) = (Arc::clone(&open), Arc::clone(&narrow));
                    thread::spawn(move || hand_on(from, to, &open, &narrow));
                }
            }
        });
        way
    }

    /// Whether it is a slow line from now on.
    pub fn set_narrow(&self, narrow: bool) {
        self.narrow.store(narrow, Ordering::SeqCst);
    }

    /// What goes by is swallowed from now on, both ways, and nothing is closed; new ones are turned away.
    pub fn swallow(&self) {
        self.down.store(true, Ordering::SeqCst);
        let passing = std::mem::take(&mut *self.passing.lock().unwrap());
        assert!(!passing.is_empty(), "nothing goes by here");
        for open in passing {
            open.store(false, Ordering::SeqCst);
        }
    }

    /// New ones come through again; those before are swallowed for good.
    pub fn mend(&self) {
        self.down.store(false, Ordering::SeqCst);
    }
}

/// Until one end closes. What is swallowed is read all the same: its sender is to notice nothing.
fn hand_on(mut from: TcpStream, mut to: TcpStream, open: &AtomicBool, narrow: &AtomicBool) {
    let mut buffer = [0; 16_384];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if narrow.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(2));
        }
        if open.load(Ordering::SeqCst) && to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    if open.load(Ordering::SeqCst) {
        let _ = to.shutdown(Shutdown::Both);
    }
}

/// A plain client of EC2, with what `footplate local env` tells.
fn client(home: &Home) -> Client {
    let folder = home.path(".local/share/footplate/local");
    let keys: HashMap<String, serde_json::Value> =
        serde_json::from_slice(&std::fs::read(folder.join("credentials.json")).unwrap()).unwrap();
    let key = |name: &str| keys[name].as_str().unwrap().to_owned();
    let told = home.run(&["local", "env"]).out;
    let address = told.lines().find_map(|line| line.strip_prefix("export AWS_ENDPOINT_URL='")).unwrap();
    let config = aws_sdk_ec2::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(key("access_key_id"), key("secret_access_key"), None, None, "test"))
        .endpoint_url(address.trim_end_matches('\''));
    Client::from_conf(config.build())
}
