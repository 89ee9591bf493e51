//! A doorman for tests: it leads to one address, and remembers what it was asked.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use footplate::model::Failure;
use footplate::ssh::{Connection, Deadlines, Doorman, Job, Login, Machine, Manner, Offered, Pins, Route};

pub struct Door {
    pub route: Route,
    pub console: Result<Vec<String>, Failure>,
    pub trusts: bool,
    pub introduced: Mutex<Vec<String>>,
    pub asked: Mutex<Vec<Offered>>,
    /// Where keys that are introduced are put, for a server that looks there.
    pub keys: Option<std::path::PathBuf>,
    /// So many introductions come too late: the keys are 61 seconds old at once.
    pub late: usize,
}

impl Door {
    /// To this address; trusts whatever is there.
    pub fn to(address: SocketAddr) -> Self {
        Self::by(Route::Direct { host: address.ip(), port: address.port() })
    }

    pub fn by(route: Route) -> Self {
        let (introduced, asked) = Default::default();
        Self { route, console: Ok(Vec::new()), trusts: true, introduced, asked, keys: None, late: 0 }
    }

    pub fn introduced(&self) -> Vec<String> {
        self.introduced.lock().unwrap().clone()
    }

    pub fn asked(&self) -> Vec<Offered> {
        self.asked.lock().unwrap().clone()
    }

    /// Opens a connection to a machine whose pins are in this folder.
    pub async fn open(&self, folder: &Path) -> Result<Connection, Failure> {
        Connection::open_in(&login(folder)?, self, &brisk()).await
    }
}

impl Doorman for Door {
    fn route(&self) -> Job<'_, Route> {
        Box::pin(async { Ok(self.route.clone()) })
    }

    fn introduce<'a>(&'a self, public_key: &'a str) -> Job<'a, ()> {
        Box::pin(async move {
            let mut introduced = self.introduced.lock().unwrap();
            introduced.push(public_key.to_owned());
            if let Some(keys) = &self.keys {
                std::fs::write(keys, format!("{public_key}\n")).unwrap();
                if introduced.len() <= self.late {
                    let then = SystemTime::now() - Duration::from_secs(61);
                    std::fs::File::options().write(true).open(keys).unwrap().set_modified(then).unwrap();
                }
            }
            Ok(())
        })
    }

    fn expected_host_keys(&self) -> Job<'_, Vec<String>> {
        Box::pin(async { self.console.clone() })
    }

    fn trust<'a>(&'a self, offered: &'a Offered) -> Job<'a, bool> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(offered.clone());
            Ok(self.trusts)
        })
    }
}

pub fn machine() -> Machine {
    Machine { account: "111122223333".into(), region: "us-east-1".into(), instance: "i-0123456789abcdef0".into() }
}

pub fn login(folder: &Path) -> Result<Login, Failure> {
    Ok(Login { machine: machine(), user: "ubuntu".into(), pins: Pins::open(folder.join("host-keys.json"))? })
}

/// Impatient, so that tests of patience are quick.
pub fn brisk() -> Manner {
    let deadlines = Deadlines {
        reach: Duration::from_secs(5),
        greeting: Duration::from_secs(2),
        login: Duration::from_secs(5),
        answer: Duration::from_millis(1500),
        probe: Duration::from_millis(400),
        probes: 3,
    };
    Manner { deadlines, ..Manner::talk() }
}
