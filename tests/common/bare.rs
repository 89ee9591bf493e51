//! A region without its door: buckets, logs, metrics and the service on one folder. What a test file needs of it beyond that, it
//! adds with an `impl Region` of its own.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flate2::{Compression, write::GzEncoder};
use footplate::local::buckets::Buckets;
use footplate::local::fault::Fault;
use footplate::local::logs::Logs;
use footplate::local::metrics::Metrics;
use footplate::local::sagemaker::{EngineOptions, SageMaker};
use serde_json::{Value, json};

/// Nothing takes nearly as long; a machine under load may.
pub const DEADLINE: Duration = Duration::from_mins(2);

pub struct Region {
    pub folder: PathBuf,
    pub buckets: Buckets,
    pub logs: Arc<Logs>,
    pub metrics: Arc<Metrics>,
    pub sagemaker: Arc<SageMaker>,
    temporary: Option<tempfile::TempDir>,
}

/// Two hundred times faster than by default, and without limits.
pub fn options() -> EngineOptions {
    EngineOptions {
        keeper: env!("CARGO_BIN_EXE_footplate").into(),
        python: "python3".into(),
        speed: 200.0,
        memory_bytes: None,
        disk_bytes: None,
        seconds: None,
    }
}

impl Region {
    /// A region with a bucket `b`.
    pub fn open(folder: &Path, engine: EngineOptions) -> Self {
        let region = Self::try_open(folder, engine).expect("opens");
        region.buckets.create("b").expect("makes a bucket");
        region
    }

    pub fn try_open(folder: &Path, engine: EngineOptions) -> Result<Self, Fault> {
        let buckets = Buckets::open(&folder.join("s3")).expect("opens");
        let logs = Arc::new(Logs::open(&folder.join("logs"), "us-east-1").expect("opens"));
        let metrics = Arc::new(Metrics::open(&folder.join("metrics")).expect("opens"));
        let sagemaker = SageMaker::open(&folder.join("sagemaker"), buckets.clone(), logs.clone(), metrics.clone(), engine)?;
        Ok(Self { folder: folder.to_owned(), buckets, logs, metrics, sagemaker, temporary: None })
    }

    /// On a folder of its own, which goes with it.
    pub fn temporary() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let region = Self::open(folder.path(), options());
        Self { temporary: Some(folder), ..region }
    }

    pub async fn call(&self, operation: &str, input: Value) -> Result<Value, Fault> {
        self.sagemaker.call(operation, input).await
    }

    /// An object of the bucket `b`.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        let file = self.folder.join("upload");
        std::fs::write(&file, bytes).expect("writes");
        self.buckets.store("b", key, &file).expect("stores");
    }

    /// A statistic of a metric, period by period, from the last two hours.
    pub fn statistic(
        &self,
        namespace: &str,
        metric: &str,
        dimensions: &[(&str, &str)],
        statistic: &str,
        period: u32,
    ) -> Vec<f64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
        let dimensions: Vec<Value> = dimensions.iter().map(|(name, value)| json!({"Name": name, "Value": value})).collect();
        let asked = json!({"StartTime": now - 7200, "EndTime": now + 7200, "ScanBy": "TimestampAscending", "MetricDataQueries": [{
            "Id": "m", "MetricStat": {"Period": period, "Stat": statistic,
                "Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": dimensions}}}]});
        let answer = self.metrics.call("GetMetricData", &asked).expect("has data");
        answer["MetricDataResults"][0]["Values"].as_array().expect("a list").iter().filter_map(Value::as_f64).collect()
    }
}

/// A `.tar.gz` of names and texts; a name that ends with a slash is a folder.
pub fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    archive_of(&files)
}

pub fn archive_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, content) in files {
        archive.append(&header(name, content.len() as u64), *content).expect("appends");
    }
    archive.into_inner().expect("ends").finish().expect("ends")
}

/// The header of a member. Its name is written raw, as a hostile client would: the builder itself refuses names that lead out.
pub fn header(name: &str, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_entry_type(if name.ends_with('/') { tar::EntryType::Directory } else { tar::EntryType::Regular });
    header.as_gnu_mut().expect("is gnu").name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    header
}

/// Runs the test `region_that_is_killed` of this very file in a process of its own, on that folder.
pub fn region_to_kill(folder: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--ignored", "--exact", "region_that_is_killed"])
        .env("FOOTPLATE_TEST_REGION", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts")
}

/// Asks again until there is an answer.
pub async fn wait_for<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

/// Whether a process is there and no zombie.
pub fn alive(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| !fields[0].starts_with(['Z', 'X']))
}

/// The parent of a process.
pub fn parent(pid: u32) -> u32 {
    stat(pid).expect("is there")[1].parse().expect("a number")
}

fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<String> = stat.rsplit(')').next()?.split_ascii_whitespace().map(str::to_owned).collect();
    (fields.len() > 1).then_some(fields)
}

pub async fn all_gone(pids: &[u32]) {
    wait_for(&format!("the end of {pids:?}"), async || pids.iter().all(|pid| !alive(*pid)).then_some(())).await;
}
