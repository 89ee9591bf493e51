//! The local region trains for real: scripts run under the keeper, and what is left behind is what SageMaker leaves.

#[path = "common/bare.rs"]
mod bare;
#[path = "common/skip.rs"]
mod skip;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bare::{Region, alive, all_gone, archive, options, region_to_kill, wait_for};
use flate2::read::GzDecoder;
use footplate::local::sagemaker::EngineOptions;
use serde_json::{Value, json};

const LOG_GROUP: &str = "/aws/sagemaker/TrainingJobs";

impl Region {
    /// Uploads a script and gives a request that runs it.
    fn request(&self, job: &str, script: &str) -> Value {
        self.request_of(job, &[("train.py", script)])
    }

    /// The same with several files, of which `train.py` runs.
    fn request_of(&self, job: &str, files: &[(&str, &str)]) -> Value {
        let key = format!("{job}/source/sourcedir.tar.gz");
        self.put(&key, &archive(files));
        json!({
            "TrainingJobName": job,
            "RoleArn": "arn:aws:iam::000000000000:role/footplate-execution",
            "AlgorithmSpecification": {
                "TrainingImage": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1.9-cpu-py38",
                "TrainingInputMode": "File",
            },
            "OutputDataConfig": {"S3OutputPath": "s3://b/out/"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
            "HyperParameters": {
                "sagemaker_program": "\"train.py\"",
                "sagemaker_submit_directory": format!("\"s3://b/{key}\""),
                "sagemaker_container_log_level": "20",
            },
        })
    }

    async fn start(&self, request: Value) {
        self.call("CreateTrainingJob", request).await.expect("is created");
    }

    async fn describe(&self, job: &str) -> Value {
        self.call("DescribeTrainingJob", json!({"TrainingJobName": job})).await.expect("is there")
    }

    async fn stop(&self, job: &str) {
        self.call("StopTrainingJob", json!({"TrainingJobName": job})).await.expect("stops");
    }

    /// Describes until the job has ended and is not among the running ones any more.
    async fn end(&self, job: &str) -> Value {
        wait_for(&format!("the end of {job}"), async || {
            let described = self.describe(job).await;
            let ended = ["Completed", "Failed", "Stopped"].contains(&described["TrainingJobStatus"].as_str()?);
            (ended && !self.sagemaker.running().contains(&job.to_owned())).then_some(described)
        })
        .await
    }

    /// Runs a request to its end.
    async fn run(&self, request: Value) -> Value {
        let job = request["TrainingJobName"].as_str().expect("a name").to_owned();
        self.start(request).await;
        self.end(&job).await
    }

    fn streams(&self, job: &str) -> Vec<String> {
        let input = json!({"logGroupName": LOG_GROUP, "logStreamNamePrefix": format!("{job}/")});
        // The group is not there before the first line of the first job.
        let Ok(answer) = self.logs.call("DescribeLogStreams", &input) else { return Vec::new() };
        let streams = answer["logStreams"].as_array().expect("a list");
        streams.iter().map(|stream| stream["logStreamName"].as_str().expect("a name").to_owned()).collect()
    }

    /// All messages of a job, host after host.
    fn log(&self, job: &str) -> Vec<String> {
        let mut messages = Vec::new();
        for stream in self.streams(job) {
            let mut input = json!({"logGroupName": LOG_GROUP, "logStreamName": stream, "startFromHead": true});
            loop {
                let page = self.logs.call("GetLogEvents", &input).expect("a page");
                let events = page["events"].as_array().expect("a list");
                messages.extend(events.iter().map(|event| event["message"].as_str().expect("a text").to_owned()));
                if page["nextForwardToken"] == input["nextToken"] {
                    break;
                }
                input["nextToken"] = page["nextForwardToken"].clone();
            }
        }
        messages
    }

    async fn logged(&self, job: &str, text: &str) {
        wait_for(&format!("{text:?} in the log of {job}"), async || {
            self.log(job).iter().any(|line| line.contains(text)).then_some(())
        })
        .await;
    }

    /// The files of an archive in the output folder of a job.
    fn packed(&self, job: &str, name: &str) -> Vec<(String, String)> {
        let to = self.folder.join(format!("{job}-{name}"));
        self.buckets.fetch("b", &format!("out/{job}/output/{name}"), &to).expect("is there");
        let mut archive = tar::Archive::new(GzDecoder::new(std::fs::File::open(to).expect("opens")));
        let mut files = Vec::new();
        for entry in archive.entries().expect("reads") {
            let mut entry = entry.expect("reads");
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("is text");
            files.push((entry.path().expect("a name").display().to_string(), text));
        }
        files
    }

    fn has(&self, key: &str) -> bool {
        self.buckets.list("b", key).expect("lists").iter().any(|object| object.key == key)
    }
}

fn phases(described: &Value) -> Vec<&str> {
    described["SecondaryStatusTransitions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["Status"].as_str().expect("a text"))
        .collect()
}

fn reason(described: &Value) -> &str {
    described["FailureReason"].as_str().unwrap_or_default()
}

/// The processes whose ids stand in a file, when it has that many.
fn pids(file: &Path, count: usize) -> Option<Vec<u32>> {
    let text = std::fs::read_to_string(file).ok()?;
    let pids: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    (pids.len() >= count && text.ends_with('\n')).then_some(pids)
}

/// Leaves its parent by all means that a daemon has, ignores SIGTERM, and writes down who it is.
const ESCAPING: &str = r#"
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def note():
    with open(os.environ["PIDS"], "a") as f: f.write("%d\n" % os.getpid())
note()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.close(0); os.close(1); os.close(2)
        note()
        while True: time.sleep(1)
    os._exit(0)
os.wait()
while not os.path.exists(os.environ["PIDS"]) or len(open(os.environ["PIDS"]).readlines()) < 2: time.sleep(0.01)
print("escaped", flush=True)
if os.environ.get("LEAVE"): sys.exit(0)
while True: time.sleep(1)
"#;

fn escaping(region: &Region, job: &str) -> (Value, PathBuf) {
    let file = region.folder.join(format!("{job}.pids"));
    let mut request = region.request(job, ESCAPING);
    request["Environment"] = json!({"PIDS": file});
    (request, file)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_trains_and_leaves_model_logs_and_metrics() {
    let folder = tempfile::tempdir().expect("a folder");
    // Not a version manager's wrapper, which would set variables of its own.
    let python = Command::new("python3").args(["-c", "import sys; print(sys.executable, end='')"]).output().expect("runs");
    let python = PathBuf::from(String::from_utf8(python.stdout).expect("is a path"));
    let region = Region::open(folder.path(), EngineOptions { python, ..options() });
    region.put("data/train/1.txt", b"3");
    region.put("data/train/deep/2.txt", b"4");
    let script = r#"
import argparse, json, os, sys
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--name")
parser.add_argument("--flag")
args = parser.parse_args()
folder = os.environ["SM_CHANNEL_TRAINING"]
total = sum(int(open(os.path.join(base, file)).read()) for base, _, files in os.walk(folder) for file in files)
print("total", total, args.lr, args.name, args.flag, os.getcwd() == os.environ["PYTHONPATH"])
print("on stderr", file=sys.stderr)
for epoch in range(3):
    print("epoch %d loss: %s" % (epoch, 0.5 / (epoch + 1)))
print("loss: nan")
open(os.path.join(os.environ["SM_MODEL_DIR"], "model.txt"), "w").write(str(total))
json.dump(dict(os.environ), open(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "env.json"), "w"))
"#;
    let mut request = region.request("happy", script);
    request["HyperParameters"]["lr"] = json!("1e-05");
    request["HyperParameters"]["name"] = json!("\"dog breeds\"");
    request["HyperParameters"]["flag"] = json!("true");
    request["InputDataConfig"] = json!([{
        "ChannelName": "training",
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/data/train", "S3DataDistributionType": "FullyReplicated"}},
    }]);
    request["AlgorithmSpecification"]["MetricDefinitions"] = json!([{"Name": "loss", "Regex": "loss: ([0-9.a-z]+)"}]);
    request["Environment"] = json!({"MINE": "yes"});
    request["Tags"] = json!([{"Key": "project", "Value": "dogs"}]);
    let described = region.run(request.clone()).await;

    assert_eq!(described["TrainingJobStatus"], "Completed", "{described:#}");
    assert_eq!(phases(&described), ["Starting", "Downloading", "Training", "Uploading", "Completed"]);
    let transitions = described["SecondaryStatusTransitions"].as_array().expect("a list");
    for pair in transitions.windows(2) {
        assert_eq!(pair[0]["EndTime"], pair[1]["StartTime"]);
        assert!(pair[0]["StartTime"].as_f64() <= pair[1]["StartTime"].as_f64());
    }
    assert_eq!(transitions[2]["StatusMessage"], "Training image download completed. Training in progress.");
    for member in ["HyperParameters", "RoleArn", "ResourceConfig", "StoppingCondition", "Environment"] {
        assert_eq!(described[member], request[member], "{member}");
    }
    assert!(described["TrainingTimeInSeconds"].as_u64() >= Some(1) && described["BillableTimeInSeconds"].is_u64());

    let log = region.log("happy");
    assert!(log.iter().any(|line| line == "total 7 1e-05 dog breeds True True"), "{log:#?}");
    assert!(log.contains(&"on stderr".to_owned()));
    assert!(log[1].ends_with("train.py --flag True --lr 1e-05 --name dog breeds"), "{}", log[1]);

    assert_eq!(described["FinalMetricDataList"][0]["MetricName"], "loss");
    let value = described["FinalMetricDataList"][0]["Value"].as_f64().expect("a number");
    assert!((value - 0.5 / 3.0).abs() < 1e-6);
    let statistics = region
        .metrics
        .call(
            "GetMetricStatistics",
            &json!({"Namespace": LOG_GROUP, "MetricName": "loss", "Dimensions": [{"Name": "TrainingJobName", "Value": "happy"}],
                "StartTime": described["CreationTime"].as_f64().expect("a time") - 120.0, "EndTime": described["TrainingEndTime"].as_f64().expect("a time") + 120.0, "Period": 3600, "Statistics": ["SampleCount"]}),
        )
        .expect("has statistics");
    let counted: f64 =
        statistics["Datapoints"].as_array().expect("a list").iter().filter_map(|point| point["SampleCount"].as_f64()).sum();
    assert!((counted - 3.0).abs() < 0.1, "NaN is no value: {statistics}");

    assert_eq!(described["ModelArtifacts"]["S3ModelArtifacts"], "s3://b/out/happy/output/model.tar.gz");
    assert_eq!(region.packed("happy", "model.tar.gz"), [("model.txt".to_owned(), "7".to_owned())]);
    let output = region.packed("happy", "output.tar.gz");
    let env: Value = serde_json::from_str(&output[0].1).expect("is JSON");
    assert_eq!((&env["MINE"], &env["SM_NUM_GPUS"], &env["MASTER_ADDR"]), (&json!("yes"), &json!("0"), &json!("127.0.0.1")));
    let known = ["SM_", "SAGEMAKER_", "TRAINING_JOB_", "MASTER_", "NCCL_", "GLOO_"];
    let single = [
        "PATH",
        "LANG",
        "LC_CTYPE",
        "HOME",
        "TMPDIR",
        "PYTHONUNBUFFERED",
        "PYTHONPATH",
        "CURRENT_HOST",
        "AWS_REGION",
        "AWS_EC2_METADATA_DISABLED",
        "FOOTPLATE_HOST",
        "MINE",
    ];
    for name in env.as_object().expect("an object").keys() {
        assert!(
            single.contains(&name.as_str()) || known.iter().any(|prefix| name.starts_with(prefix)),
            "{name} is not of the contract"
        );
    }
    assert!(env["HOME"].as_str().is_some_and(|home| home.contains("/sagemaker/jobs/happy/algo-1/")));

    let tags = region.call("ListTags", json!({"ResourceArn": described["TrainingJobArn"]})).await.expect("lists");
    assert_eq!(tags["Tags"], request["Tags"]);
    assert_eq!(
        std::fs::read_dir(folder.path().join("sagemaker/jobs")).expect("a folder").count(),
        0,
        "the job's folder was not removed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_fails_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    let script = r#"
import os, sys
open(os.environ["SM_MODEL_DIR"] + "/half", "w").write("x")
open(os.environ["SM_OUTPUT_DATA_DIR"] + "/notes", "w").write("kept")
print("before", file=sys.stderr)
try: raise ValueError("the data is empty")
except ValueError:
    import traceback; traceback.print_exc()
sys.exit(3)
"#;
    let described = region.run(region.request("three", script)).await;
    assert_eq!(described["TrainingJobStatus"], "Failed");
    assert!(
        reason(&described).starts_with(
            "AlgorithmError: ExecuteUserScriptError:\nExitCode 3\nErrorMessage \"ValueError: the data is empty\"\nCommand \""
        ),
        "{described:#}"
    );
    assert!(reason(&described).ends_with("train.py\", exit code: 3"));
    assert!(!region.has("out/three/output/model.tar.gz"), "AWS keeps no model of a failed job");
    assert_eq!(region.packed("three", "output.tar.gz")[0].1, "kept");

    let own = r#"
import os
open(os.environ["SM_OUTPUT_DIR"] + "/failure", "w").write("my own reason")
raise SystemExit(1)
"#;
    let described = region.run(region.request("own", own)).await;
    assert_eq!(reason(&described), "AlgorithmError: my own reason, exit code: 1");

    let killed = region.run(region.request("killed", "import os\nos.kill(os.getpid(), 9)")).await;
    assert!(
        reason(&killed).contains("ExitCode 137\n")
            && reason(&killed).contains("OutOfMemory: Process killed by SIGKILL (signal 9)"),
        "{killed:#}"
    );

    let mut missing = region.request("missing", "");
    missing["HyperParameters"]["sagemaker_program"] = json!("gone.py");
    assert!(reason(&region.run(missing).await).contains("gone.py is not in the archive"));
    let mut no_source = region.request("no-source", "");
    no_source["HyperParameters"]["sagemaker_submit_directory"] = json!("s3://b/nothing.tar.gz");
    assert!(reason(&region.run(no_source).await).contains("s3://b/nothing.tar.gz cannot be read"));
    let mut builtin = region.request("builtin", "");
    builtin["HyperParameters"] = json!({"k": "1"});
    assert!(reason(&region.run(builtin).await).contains("built-in algorithms are not part of the local region"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_job_keeps_its_model() {
    let folder = tempfile::tempdir().expect("a folder");
    // Six seconds of grace: the script ends by itself long before it would be killed.
    let region = Region::open(folder.path(), EngineOptions { speed: 20.0, ..options() });
    let script = r#"
import os, signal, sys, time
open(os.environ["SM_MODEL_DIR"] + "/checkpoint", "w").write("epoch 1")
def bye(*_):
    print("told to end", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, bye)
print("ready", flush=True)
while True: time.sleep(1)
"#;
    region.start(region.request("stopped", script)).await;
    region.logged("stopped", "ready").await;
    assert_eq!(region.sagemaker.running(), ["stopped"]);
    region.stop("stopped").await;
    let described = region.end("stopped").await;
    assert_eq!(
        (described["TrainingJobStatus"].as_str(), described["SecondaryStatus"].as_str()),
        (Some("Stopped"), Some("Stopped"))
    );
    assert_eq!(phases(&described), ["Starting", "Downloading", "Training", "Stopping", "Uploading", "Stopped"]);
    assert_eq!(region.packed("stopped", "model.tar.gz"), [("checkpoint".to_owned(), "epoch 1".to_owned())]);
    assert!(region.log("stopped").contains(&"told to end".to_owned()));
    assert!(described.get("FailureReason").is_none());

    let fault = region.call("StopTrainingJob", json!({"TrainingJobName": "stopped"})).await.expect_err("is refused");
    assert_eq!(
        (fault.code, fault.message.as_str()),
        ("ValidationException", "The request was rejected because the training job is in status Stopped.")
    );
    let arn = described["TrainingJobArn"].clone();
    region.call("DeleteTrainingJob", json!({"TrainingJobName": "stopped"})).await.expect("is deleted");
    let fault = region.call("DescribeTrainingJob", json!({"TrainingJobName": "stopped"})).await.expect_err("is gone");
    assert_eq!(fault.message, "Requested resource not found.");
    assert!(region.call("ListTags", json!({"ResourceArn": arn})).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn time_disk_and_memory_have_limits() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = EngineOptions { disk_bytes: Some(20 << 20), memory_bytes: Some(1 << 30), ..options() };
    let region = Region::open(folder.path(), limits);

    let mut slow = region.request("slow", "import time\nwhile True: time.sleep(1)");
    slow["StoppingCondition"]["MaxRuntimeInSeconds"] = json!(1);
    region.start(slow).await;
    let many_files = r#"
import os, time
for n in range(100):
    open(os.environ["SM_MODEL_DIR"] + "/%d" % n, "wb").write(os.urandom(1 << 20))
while True: time.sleep(1)
"#;
    region.start(region.request("disk", many_files)).await;
    region
        .start(region.request("one-file", "import os\nopen(os.environ['SM_MODEL_DIR'] + '/big', 'wb').write(bytes(30 << 20))"))
        .await;
    region.start(region.request("memory", "x = bytearray(2 << 30)")).await;

    let slow = region.end("slow").await;
    assert_eq!(
        (slow["TrainingJobStatus"].as_str(), slow["SecondaryStatus"].as_str()),
        (Some("Stopped"), Some("MaxRuntimeExceeded"))
    );
    assert!(reason(&region.end("disk").await).contains("20971520 bytes of disk"));
    let one_file = region.end("one-file").await;
    // The whole folder's limit may be noticed first: the file lies in it.
    assert!(["File too large", "20971520 bytes of disk"].iter().any(|text| reason(&one_file).contains(text)), "{one_file:#}");
    assert!(reason(&region.end("memory").await).contains("MemoryError"));
}

#[tokio::test(flavor = "multi_thread")]
async fn four_hosts_meet_and_one_that_fails_ends_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    for number in 0..8 {
        region.put(&format!("shards/{number}"), b"x");
    }
    let script = r#"
import json, os, socket, time
host, hosts = os.environ["SM_CURRENT_HOST"], json.loads(os.environ["SM_HOSTS"])
here = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
print(host, "has", len(os.listdir(os.environ["SM_CHANNEL_SHARD"])), "of", len(os.listdir(os.environ["SM_CHANNEL_ALL"])))
if host == "algo-1":
    server = socket.create_server(here)
    names = sorted(server.accept()[0].recv(100).decode() for _ in hosts[1:])
    print("met", names)
    open(os.environ["SM_MODEL_DIR"] + "/model", "w").write(",".join(names))
else:
    while True:
        try: s = socket.create_connection(here); break
        except OSError: time.sleep(0.02)
    s.sendall(host.encode())
"#;
    let source = |kind: &str| json!({"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/shards/", "S3DataDistributionType": kind}});
    let mut request = region.request("four", script);
    request["ResourceConfig"]["InstanceCount"] = json!(4);
    request["InputDataConfig"] = json!([
        {"ChannelName": "shard", "DataSource": source("ShardedByS3Key")},
        {"ChannelName": "all", "DataSource": source("FullyReplicated"), "InputMode": "FastFile"},
    ]);
    let described = region.run(request).await;
    assert_eq!(described["TrainingJobStatus"], "Completed", "{described:#}");
    assert_eq!(region.streams("four").len(), 4);
    let log = region.log("four");
    assert!(log.contains(&"met ['algo-2', 'algo-3', 'algo-4']".to_owned()), "{log:#?}");
    for host in 1..=4 {
        assert!(log.contains(&format!("algo-{host} has 2 of 8")), "{log:#?}");
    }

    let failing = r#"
import os, sys, time
if os.environ["SM_CURRENT_HOST"] == "algo-3": raise RuntimeError("third host")
while True: time.sleep(1)
"#;
    let mut request = region.request("fails", failing);
    request["ResourceConfig"]["InstanceCount"] = json!(4);
    let described = region.run(request).await;
    assert!(reason(&described).contains("ErrorMessage \"RuntimeError: third host\""), "{described:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_escapes_stop_end_or_close() {
    let folder = tempfile::tempdir().expect("a folder");
    // A hundred times faster: 0.12 s after SIGTERM comes SIGKILL.
    let region = Region::open(folder.path(), EngineOptions { speed: 1000.0, ..options() });

    let (request, file) = escaping(&region, "stopped");
    region.start(request).await;
    let of_stopped = wait_for("both processes", async || pids(&file, 2)).await;
    region.logged("stopped", "escaped").await;
    assert!(of_stopped.iter().all(|pid| alive(*pid)));
    region.stop("stopped").await;
    assert_eq!(region.end("stopped").await["TrainingJobStatus"], "Stopped");
    assert!(of_stopped.iter().all(|pid| !alive(*pid)), "a process outlived the stop");

    let (mut request, file) = escaping(&region, "left");
    request["Environment"]["LEAVE"] = json!("1");
    assert_eq!(region.run(request).await["TrainingJobStatus"], "Completed");
    let left = pids(&file, 2).expect("both wrote");
    assert!(left.iter().all(|pid| !alive(*pid)), "a process outlived its script");

    let (request, file) = escaping(&region, "closed");
    region.start(request).await;
    let of_closed = wait_for("both processes", async || pids(&file, 2)).await;
    region.sagemaker.close().await;
    assert!(of_closed.iter().all(|pid| !alive(*pid)), "a process outlived the region");
    assert!(region.sagemaker.running().is_empty());
    assert!(reason(&region.describe("closed").await).contains("the local region was closed"));
    let fault = region.call("CreateTrainingJob", region.request("late", "")).await.expect_err("is refused");
    assert_eq!(fault.code, "ServiceUnavailable");
}

/// Not a test of its own: the region that the next test kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of nothing_escapes_the_death_of_the_region"]
async fn region_that_is_killed() {
    let Some(folder) = std::env::var_os("FOOTPLATE_TEST_REGION") else { return };
    let region = Region::open(Path::new(&folder), options());
    let (request, _) = escaping(&region, "orphan");
    region.start(request).await;
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_escapes_the_death_of_the_region() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut other = region_to_kill(folder.path());
    let file = folder.path().join("orphan.pids");
    let orphans = wait_for("both processes", async || pids(&file, 2)).await;

    let second = Region::try_open(folder.path(), options());
    assert!(second.is_err_and(|fault| fault.message.contains("open in another process")));

    other.kill().expect("is killed with SIGKILL");
    other.wait().expect("is gone");
    all_gone(&orphans).await;

    let region = Region::open(folder.path(), options());
    let described = region.describe("orphan").await;
    assert_eq!(described["TrainingJobStatus"], "Failed");
    assert!(reason(&described).starts_with("InternalServerError: the local region stopped while this job was running."));
    assert!(described["SecondaryStatusTransitions"].as_array().expect("a list").iter().all(|one| one["EndTime"].is_number()));
    assert_eq!(region.run(region.request("next", "print('alive')")).await["TrainingJobStatus"], "Completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_kills_its_keeper_gains_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    let script = ESCAPING.replace("if os.environ.get(\"LEAVE\"): sys.exit(0)", "os.kill(os.getppid(), signal.SIGKILL)");
    let mut request = region.request("patricide", &script);
    let file = folder.path().join("pids");
    request["Environment"] = json!({"PIDS": file});
    let described = region.run(request).await;
    assert_eq!(described["TrainingJobStatus"], "Failed");
    let left = pids(&file, 2).expect("both wrote");
    assert!(left.iter().all(|pid| !alive(*pid)), "a process outlived its keeper");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_output_becomes_log_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    let script = r#"
import sys
out = sys.stdout.buffer
out.write(b"caf\xc3\xa9 \xff\xfe end\n10%\r20%\r\n\n\x1b[31mred\x1b[0m\n")
for _ in range(20): out.write(b"x" * (1 << 20))
out.write(b"\nafter\n")
out.flush()
sys.stderr.write("no newline at the end")
"#;
    let described = region.run(region.request("output", script)).await;
    assert_eq!(described["TrainingJobStatus"], "Completed", "{described:#}");
    let log = region.log("output");
    assert!(log.contains(&"café \u{fffd}\u{fffd} end".to_owned()));
    assert!(log.contains(&"10%\r20%\r".to_owned()));
    assert!(log.contains(&"\u{1b}[31mred\u{1b}[0m".to_owned()));
    assert!(log.contains(&"no newline at the end".to_owned()) && log.contains(&"after".to_owned()));
    let pieces: Vec<_> = log.iter().filter(|line| line.starts_with("xxxx")).collect();
    assert_eq!(pieces.iter().map(|piece| piece.len()).sum::<usize>(), 20 << 20);
    assert!(pieces.iter().all(|piece| piece.len() <= 256 << 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_there_while_the_script_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    let script = r#"
import sys, time
print("loss: 0.5")
sys.stdout.write("a bar without an end")
sys.stdout.flush()
while True: time.sleep(1)
"#;
    let mut request = region.request("live", script);
    request["AlgorithmSpecification"]["MetricDefinitions"] = json!([{"Name": "loss", "Regex": "loss: (.*)"}]);
    region.start(request).await;
    region.logged("live", "loss: 0.5").await;
    region.logged("live", "a bar without an end").await;
    wait_for("the metric", async || region.describe("live").await["FinalMetricDataList"][0]["Value"].as_f64()).await;
    region.stop("live").await;
    region.end("live").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_refused_as_aws_refuses_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    let refuse = async |change: &dyn Fn(&mut Value)| {
        let mut request = region.request("refused", "");
        change(&mut request);
        let fault = region.call("CreateTrainingJob", request).await.expect_err("is refused");
        format!("{}: {}", fault.code, fault.message)
    };
    let channel =
        |uri: &str| json!([{"ChannelName": "c", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}]);

    let text = refuse(&|request| request["TrainingJobName"] = json!("my_job")).await;
    assert!(text.starts_with("ValidationException: 1 validation error detected: Value 'my_job' at 'trainingJobName' failed to satisfy constraint: Member must satisfy regular expression pattern: "));
    let text = refuse(&|request| request["ResourceConfig"]["InstanceType"] = json!("ml.t2.medium")).await;
    assert!(text.contains("Value 'ml.t2.medium' at 'resourceConfig.instanceType' failed to satisfy constraint: Member must satisfy enum value set: ["));
    let text = refuse(&|request| request["ResourceConfig"]["InstanceType"] = json!("ml.g4dn.xlarge")).await;
    assert!(text.starts_with(
        "ResourceLimitExceeded: The account-level service limit 'ml.g4dn.xlarge for training job usage' is 0 Instances"
    ));
    let text = refuse(&|request| request["ResourceConfig"]["InstanceCount"] = json!(16)).await;
    assert!(text.contains("is 15 Instances, with current utilization of 0 Instances and a request delta of 16 Instances"));
    for uri in ["s3://b/nothing/", "s3://no-such-bucket/x"] {
        let text = refuse(&|request| request["InputDataConfig"] = channel(uri)).await;
        assert!(text.starts_with(&format!("ValidationException: No S3 objects found under S3 URL \"{uri}\" given in input data source. Please ensure that the bucket exists in the selected region (us-east-1)")), "{text}");
    }
    let text = refuse(&|request| request["OutputDataConfig"]["S3OutputPath"] = json!("s3://no-such-bucket/")).await;
    assert!(text.contains("s3://no-such-bucket/ does not exist"));
    let text = refuse(&|request| request["RoleArn"] = json!("arn:aws:iam::111122223333:role/SM")).await;
    assert!(text.starts_with("ValidationException: Could not assume role arn:aws:iam::111122223333:role/SM."));
    let text = refuse(&|request| request["AlgorithmSpecification"]["TrainingInputMode"] = json!("Pipe")).await;
    assert!(text.contains("to File or FastFile"));
    let text = refuse(&|request| {
        for number in 0..100 {
            request["HyperParameters"][format!("h{number}")] = json!("1");
        }
    })
    .await;
    assert!(
        text.contains("at 'hyperParameters' failed to satisfy constraint: Member must have length less than or equal to 100"),
        "{text}"
    );
    region.put("data/x", b"x");
    let text = refuse(&|request| {
        let one = channel("s3://b/data/")[0].clone();
        request["InputDataConfig"] = json!([one, one]);
    })
    .await;
    assert!(text.contains("Duplicate channel name c"));
    assert!(
        region.call("ListTrainingJobs", json!({})).await.expect("lists")["TrainingJobSummaries"]
            .as_array()
            .is_some_and(Vec::is_empty)
    );

    region.run(region.request("twice", "")).await;
    let fault = region.call("CreateTrainingJob", region.request("twice", "")).await.expect_err("is refused");
    assert_eq!(
        (fault.code, fault.message.as_str()),
        (
            "ResourceInUse",
            "Training job names must be unique within an AWS account and region, and a training job with this name already exists (arn:aws:sagemaker:us-east-1:000000000000:training-job/twice)"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_run_side_by_side() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    let script =
        "import os, time\nwhile not os.path.exists(os.environ['GO']): time.sleep(0.02)\nprint(os.environ['MASTER_PORT'])";
    let go = folder.path().join("go");
    for number in 0..6 {
        let mut request = region.request(&format!("side-{number}"), script);
        request["Environment"] = json!({"GO": go});
        region.start(request).await;
    }
    wait_for("all in training", async || {
        let listed =
            region.call("ListTrainingJobs", json!({"StatusEquals": "InProgress", "MaxResults": 100})).await.expect("lists");
        let jobs = listed["TrainingJobSummaries"].as_array()?;
        (jobs.len() == 6 && jobs.iter().all(|job| job["SecondaryStatus"] == "Training")).then_some(())
    })
    .await;
    let fault = region.call("DeleteTrainingJob", json!({"TrainingJobName": "side-0"})).await.expect_err("is refused");
    assert_eq!(fault.code, "ResourceInUse");
    std::fs::write(&go, "").expect("writes");
    let mut ports = Vec::new();
    for number in 0..6 {
        let job = format!("side-{number}");
        assert_eq!(region.end(&job).await["TrainingJobStatus"], "Completed");
        ports.extend(region.log(&job).pop());
    }
    ports.sort();
    ports.dedup();
    assert_eq!(ports.len(), 6, "each job has a port of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_job_uses_is_measured_host_by_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    // The work is a child's, the memory the script's own.
    let script = r#"
import os, subprocess, sys, time
held = bytearray(64 << 20)
with open(os.environ["SM_MODEL_DIR"] + "/big", "wb") as file: file.write(os.urandom(8 << 20))
if os.environ["SM_CURRENT_HOST"] == "algo-1":
    while True: subprocess.run([sys.executable, "-c", "sum(range(3000000))"])
while True: time.sleep(1)
"#;
    let mut request = region.request("measured", script);
    request["ResourceConfig"] = json!({"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1});
    region.start(request).await;
    let ask = |host: &str, metric: &str, statistic: &str, period: u32| {
        region.statistic(LOG_GROUP, metric, &[("Host", &format!("measured/{host}"))], statistic, period)
    };
    // By the second: a run of some seconds has a curve.
    wait_for("some seconds", async || (ask("algo-2", "CPUUtilization", "Average", 1).len() >= 4).then_some(())).await;
    wait_for("the disk", async || ask("algo-2", "DiskUtilization", "Maximum", 3600).pop().filter(|share| *share > 0.7)).await;
    let cores = f64::from(u32::try_from(std::thread::available_parallelism().expect("some").get()).expect("few"));
    let (busy, idle) = (ask("algo-1", "CPUUtilization", "Maximum", 3600)[0], ask("algo-2", "CPUUtilization", "Minimum", 3600)[0]);
    // A reading that comes a little late or early may be off by a tick.
    assert!(busy > 10.0 && busy < cores * 110.0, "{busy} % of {cores} processors");
    assert!(idle < busy / 2.0, "{idle} % while it sleeps, {busy} % while it works");
    let memory = ask("algo-2", "MemoryUtilization", "Maximum", 3600)[0];
    let text = std::fs::read_to_string("/proc/meminfo").expect("reads");
    let total: f64 = text.split_ascii_whitespace().nth(1).expect("a number").parse().expect("a number");
    let bytes = memory / 100.0 * total * 1024.0;
    assert!((60e6..200e6).contains(&bytes), "{bytes} bytes");
    let disk = ask("algo-2", "DiskUtilization", "Maximum", 3600)[0];
    assert!((0.7..2.0).contains(&disk), "{disk} % of a gigabyte");
    let listed = region
        .metrics
        .call("ListMetrics", &json!({"Namespace": LOG_GROUP, "Dimensions": [{"Name": "Host", "Value": "measured/algo-1"}]}));
    let names: Vec<Value> =
        listed.expect("lists")["Metrics"].as_array().expect("a list").iter().map(|one| one["MetricName"].clone()).collect();
    for name in ["CPUUtilization", "MemoryUtilization", "DiskUtilization"] {
        assert!(names.contains(&json!(name)), "{names:?}");
    }
    region.stop("measured").await;
    region.end("measured").await;
}

/// Counts on from its checkpoint, and waits for a file after each epoch but the last.
const RESUMING: &str = r#"
import argparse, os, time
parser = argparse.ArgumentParser()
parser.add_argument("--checkpoints")
folder = parser.parse_args().checkpoints
assert folder == os.environ["SM_CHECKPOINT_DIR"], folder
os.makedirs(folder + "/deep", exist_ok=True)
path = folder + "/deep/epoch"
start = int(open(path).read()) if os.path.exists(path) else 0
print("resumed from", start, flush=True)
open(path + ".new", "w").write(str(start + 1))
os.rename(path + ".new", path)
while os.environ.get("WAIT"): time.sleep(0.05)
open(os.environ["SM_MODEL_DIR"] + "/model", "w").write("x")
open(path, "w").write(str(start + 10))
if os.environ.get("FAIL"): raise SystemExit(1)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_reach_s3_while_the_script_runs_and_the_next_job_goes_on_from_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    let request = |job: &str, variable: &str| {
        let mut request = region.request(job, RESUMING);
        request["HyperParameters"]["checkpoints"] = json!("\"/opt/ml/checkpoints\"");
        request["CheckpointConfig"] = json!({"S3Uri": "s3://b/ck/dogs"});
        request["Environment"] = json!({variable: "1"});
        request
    };
    let stored = || {
        let to = folder.path().join("fetched");
        let _ = std::fs::remove_file(&to);
        region.buckets.fetch("b", "ck/dogs/deep/epoch", &to).ok()?;
        std::fs::read_to_string(to).ok()
    };
    region.put("ck/dogs-of-others/deep/epoch", b"99");
    region.start(request("first", "WAIT")).await;
    // The job runs on: whatever ends it now, the machine included, this is kept.
    wait_for("the checkpoint in S3", async || stored().filter(|text| text == "1")).await;
    assert_eq!(
        region.describe("first").await["CheckpointConfig"],
        json!({"S3Uri": "s3://b/ck/dogs", "LocalPath": "/opt/ml/checkpoints"})
    );
    region.stop("first").await;
    assert_eq!(region.end("first").await["TrainingJobStatus"], "Stopped");
    region.logged("first", "resumed from 0").await;

    let second = region.run(request("second", "NOTHING")).await;
    assert_eq!(second["TrainingJobStatus"], "Completed", "{second:#}");
    region.logged("second", "resumed from 1").await;
    assert_eq!(stored().as_deref(), Some("11"), "what was written last is there, too");
    // A job that fails keeps no model, but its checkpoints.
    assert_eq!(region.run(request("third", "FAIL")).await["TrainingJobStatus"], "Failed");
    assert_eq!(stored().as_deref(), Some("21"));
    assert!(!region.has("out/third/output/model.tar.gz") && !region.has("ck/dogs/model"));
}

#[tokio::test(flavor = "multi_thread")]
async fn spot_jobs_and_what_is_only_noted_are_described_as_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    let mut request = region.request("noted", "print('x')");
    let vpc = json!({"SecurityGroupIds": ["sg-0123456789abcdef0"], "Subnets": ["subnet-0123456789abcdef0"]});
    let key = "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555";
    for (member, value) in [
        ("VpcConfig", vpc.clone()),
        ("EnableNetworkIsolation", json!(true)),
        ("EnableInterContainerTrafficEncryption", json!(true)),
        ("EnableManagedSpotTraining", json!(true)),
        ("StoppingCondition", json!({"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120})),
        ("Environment", json!({"A": "b"})),
    ] {
        request[member] = value;
    }
    request["OutputDataConfig"]["KmsKeyId"] = json!(key);
    request["ResourceConfig"]["VolumeKmsKeyId"] = json!(key);
    let described = region.run(request.clone()).await;
    assert_eq!(described["TrainingJobStatus"], "Completed");
    for member in [
        "VpcConfig",
        "EnableNetworkIsolation",
        "EnableInterContainerTrafficEncryption",
        "EnableManagedSpotTraining",
        "StoppingCondition",
        "Environment",
    ] {
        assert_eq!(described[member], request[member], "{member}");
    }
    assert_eq!(
        (&described["OutputDataConfig"]["KmsKeyId"], &described["ResourceConfig"]["VolumeKmsKeyId"]),
        (&json!(key), &json!(key))
    );
    assert!(described["BillableTimeInSeconds"].as_u64() <= described["TrainingTimeInSeconds"].as_u64());
    region.logged("noted", "the local region does not cut the script off the network").await;

    let mut late = region.request("late", "import time\nwhile True: time.sleep(1)");
    late["EnableManagedSpotTraining"] = json!(true);
    late["StoppingCondition"] = json!({"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1});
    let described = region.run(late).await;
    assert_eq!(
        (&described["TrainingJobStatus"], &described["SecondaryStatus"]),
        (&json!("Stopped"), &json!("MaxWaitTimeExceeded"))
    );

    for (change, text) in [
        (json!({"S3Uri": "s3://nobody/ck"}), "Create the bucket nobody first."),
        (json!({"S3Uri": "s3://b/ck", "LocalPath": "/tmp/ck"}), "LocalPath /tmp/ck in CheckpointConfig is not below /opt/ml"),
    ] {
        let mut request = region.request("refused", "");
        request["CheckpointConfig"] = change;
        let fault = region.call("CreateTrainingJob", request).await.expect_err("is refused");
        assert!(fault.message.contains(text), "{}", fault.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn torchrun_starts_each_host_with_its_rank_and_other_launchers_say_what_to_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    // PyTorch's place is taken by a module of the script's own archive, which tells how it was called and runs the script.
    let launcher = "import os, runpy, sys\nprint(os.environ['SM_CURRENT_HOST'], 'launched', sys.argv[1:])\nat = sys.argv.index('train.py')\nsys.argv = sys.argv[at:]\nrunpy.run_path('train.py', run_name='__main__')\n";
    let files = [
        ("train.py", "import sys\nprint('script', sys.argv[1:])\n"),
        ("torch/__init__.py", ""),
        ("torch/distributed/__init__.py", ""),
        ("torch/distributed/run.py", launcher),
    ];
    let mut request = region.request_of("torchrun", &files);
    request["HyperParameters"]["sagemaker_torch_distributed_enabled"] = json!("true");
    request["HyperParameters"]["sagemaker_instance_type"] = json!("\"ml.m5.large\"");
    request["HyperParameters"]["lr"] = json!("0.5");
    request["ResourceConfig"]["InstanceCount"] = json!(2);
    let described = region.run(request).await;
    assert_eq!(described["TrainingJobStatus"], "Completed", "{described:#}");
    let log = region.log("torchrun").join("\n");
    assert_eq!(log.matches("script ['--lr', '0.5']").count(), 2, "{log}");
    let port = regex::Regex::new(r"'--master_port', '\d+'").expect("compiles");
    for rank in 0..2 {
        let call = format!(
            "algo-{} launched ['--nnodes', '2', '--nproc_per_node', '1', '--master_addr', '127.0.0.1', '--master_port', 'PORT', '--node_rank', '{rank}', 'train.py', '--lr', '0.5']",
            rank + 1
        );
        let log = port.replace_all(&log, "'--master_port', 'PORT'");
        assert!(log.contains(&call), "{log}");
    }

    for (key, text) in [
        ("sagemaker_mpi_enabled", "MPI is not part of the local region. Use torch_distributed"),
        ("sagemaker_distributed_dataparallel_enabled", "(SMDDP) exists in AWS's containers only"),
    ] {
        let mut request = region.request(&key.replace('_', "-"), "");
        request["HyperParameters"][key] = json!("true");
        let described = region.run(request).await;
        assert_eq!(described["TrainingJobStatus"], "Failed");
        assert!(reason(&described).contains(text), "{}", reason(&described));
    }
    // `-S` leaves site-packages out, so there is no torch, whatever this machine has.
    let python = folder.path().join("python");
    std::fs::write(&python, "#!/bin/sh\nexec python3 -I -S \"$@\"\n").expect("writes");
    std::fs::set_permissions(&python, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("is ours");
    region.sagemaker.close().await;
    drop(region);
    let region = Region::open(folder.path(), EngineOptions { python, ..options() });
    let mut request = region.request("bare", "");
    request["HyperParameters"]["sagemaker_pytorch_ddp_enabled"] = json!("true");
    let described = region.run(request).await;
    assert!(
        reason(&described).contains("the job is to be started by torchrun, and")
            && reason(&described).contains("has no torch. Install PyTorch"),
        "{}",
        reason(&described)
    );
}

/// A small file system needs no root where user namespaces are allowed; where they are not, this says so and tests nothing.
#[test]
fn a_full_disk_fails_the_job_and_not_the_region() {
    let folder = tempfile::tempdir().expect("a folder");
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
        command.arg(folder.path()).arg(std::env::current_exe().expect("this test"));
        command.env("FOOTPLATE_TEST_SMALL_DISK", folder.path());
        command
    };
    let mount = "mount -t tmpfs -o size=12m tmpfs \"$0\"";
    let allowed = unshare(mount).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !allowed {
        skip::skipped("this system lets nobody mount a small disk");
        return;
    }
    let inner = unshare(&format!("{mount} && exec \"$1\" --ignored --exact region_on_a_full_disk")).output().expect("starts");
    assert!(inner.status.success(), "{}", String::from_utf8_lossy(&inner.stdout));
}

/// Not a test of its own: the region of the test before, on a file system of 12 MB.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of a_full_disk_fails_the_job_and_not_the_region"]
async fn region_on_a_full_disk() {
    let Some(small) = std::env::var_os("FOOTPLATE_TEST_SMALL_DISK") else { return };
    let folder = tempfile::tempdir_in(small).expect("a folder");
    let region = Region::open(folder.path(), options());
    let talking = r#"
import os, time
fill = open(os.environ["SM_MODEL_DIR"] + "/fill", "wb")
try:
    while True: fill.write(bytes(1 << 16)); fill.flush()
except OSError: print("full", flush=True)
n = 0
while True: print("talking", n, "x" * 1000, flush=True); n += 1
"#;
    let described = region.run(region.request("talking", talking)).await;
    assert!(reason(&described).contains("the disk of the local region is full"), "{described:#}");
    let listed = region.call("ListTrainingJobs", json!({})).await.expect("still answers");
    assert_eq!(listed["TrainingJobSummaries"][0]["TrainingJobStatus"], "Failed");

    let writing = r#"
import os
with open(os.environ["SM_MODEL_DIR"] + "/fill", "wb") as fill:
    while True: fill.write(bytes(1 << 16))
"#;
    let described = region.run(region.request("writing", writing)).await;
    // The script's own error, when there was still room to log it.
    assert!(
        ["No space left on device", "the disk of the local region is full"].iter().any(|text| reason(&described).contains(text)),
        "{described:#}"
    );

    region.put("data/big", &vec![7; 4 << 20]);
    let mut request = region.request("channel", "");
    request["ResourceConfig"]["InstanceCount"] = json!(4);
    request["InputDataConfig"] =
        json!([{"ChannelName": "c", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/data/"}}}]);
    let described = region.run(request).await;
    assert!(reason(&described).contains("the disk of the local region is full (writing the channel c)"), "{described:#}");
    assert_eq!(region.run(region.request("after", "print('fits')")).await["TrainingJobStatus"], "Completed");
}
