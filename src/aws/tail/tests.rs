use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::aws::scripted::{Answer, Asked, Scripted};

/// A log service in memory: positions as tokens, small pages.
struct Logs {
    /// (stream, time, message)
    events: Vec<(String, i64, String)>,
    page: usize,
    calls: usize,
    /// Calls (counted from 0) that are throttled, whatever the SDK's own retries.
    throttled: std::ops::Range<usize>,
    /// Events arrive once so many calls were made.
    late: Vec<(usize, (String, i64, String))>,
}

fn error(code: &str) -> Answer {
    (400, json!({ "__type": code, "message": code }).to_string().into_bytes())
}

impl Logs {
    fn new(events: Vec<(String, i64, String)>, page: usize) -> Self {
        Self { events, page, calls: 0, throttled: 0..0, late: Vec::new() }
    }

    fn answer(&mut self, asked: &Asked) -> Answer {
        self.calls += 1;
        let calls = self.calls;
        let (come, wait): (Vec<_>, Vec<_>) = std::mem::take(&mut self.late).into_iter().partition(|(when, _)| calls >= *when);
        self.late = wait;
        self.events.extend(come.into_iter().map(|(_, event)| event));
        if self.throttled.contains(&(calls - 1)) {
            return error("ThrottlingException");
        }
        let body = asked.json();
        let value = if asked.operation == "DescribeLogStreams" { self.streams(&body) } else { Some(self.page(&body)) };
        value.map_or_else(|| error("ResourceNotFoundException"), |value| (200, value.to_string().into_bytes()))
    }

    fn streams(&self, body: &Value) -> Option<Value> {
        if self.events.is_empty() {
            return None;
        }
        let prefix = body["logStreamNamePrefix"].as_str().unwrap();
        let mut names: Vec<&str> =
            self.events.iter().map(|(name, ..)| name.as_str()).filter(|name| name.starts_with(prefix)).collect();
        names.sort_unstable();
        names.dedup();
        let from: usize = body["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let shown: Vec<Value> = names.iter().skip(from).take(2).map(|name| json!({ "logStreamName": name })).collect();
        let next = (from + 2 < names.len()).then(|| (from + 2).to_string());
        Some(json!({ "logStreams": shown, "nextToken": next }))
    }

    fn page(&self, body: &Value) -> Value {
        let name = body["logStreamName"].as_str().unwrap();
        let inside =
            |at: i64| body["startTime"].as_i64().is_none_or(|s| at >= s) && body["endTime"].as_i64().is_none_or(|e| at < e);
        let all = self.events.iter().filter(|(stream, at, _)| stream == name && inside(*at));
        let from: usize = body["nextToken"].as_str().map_or(0, |token| token[2..].parse().unwrap());
        let events: Vec<Value> =
            all.skip(from).take(self.page).map(|(_, at, text)| json!({ "timestamp": at, "message": text })).collect();
        json!({ "nextForwardToken": format!("f/{}", from + events.len()), "events": events })
    }
}

/// Follows to the end and returns batches.
async fn followed(logs: Logs, rules: Vec<MetricRule>) -> Vec<LogBatch> {
    let logs = Mutex::new(logs);
    let aws = Scripted::new(move |asked| logs.lock().unwrap().answer(asked)).connect(true, None).await;
    let source = LogSource { group: "/aws/sagemaker/TrainingJobs".into(), prefix: "job/".into() };
    let (tell_end, ended) = watch::channel(false);
    let (out, mut batches) = mpsc::channel(2);
    let task = tokio::spawn(follow(aws, source, rules, ended, out));
    let mut got: Vec<LogBatch> = Vec::new();
    while let Some(batch) = batches.recv().await {
        // The job ends once its log has begun to flow.
        if batch.note == Some(TailNote::Following) {
            tell_end.send_replace(true);
        }
        got.push(batch);
    }
    task.await.unwrap();
    got
}

fn notes(batches: &[LogBatch]) -> Vec<TailNote> {
    batches.iter().filter_map(|batch| batch.note.clone()).collect()
}

fn event(host: u8, at: i64, text: &str) -> (String, i64, String) {
    (format!("job/algo-{host}-1574811611"), at, text.to_owned())
}

#[tokio::test]
async fn a_job_of_three_hosts_is_told_once_and_in_order() {
    let mut events: Vec<_> = (0..30).map(|n| event(n % 3 + 1, 1000 + i64::from(n), &format!("line {n} loss: 0.{n}"))).collect();
    events.push(("job-2/algo-1-1".into(), 1, "another job".into()));
    let mut logs = Logs::new(Vec::new(), 4);
    // Nothing exists at first; then everything; a fourth host and a line from the past come late.
    logs.late = events.into_iter().map(|event| (2, event)).collect();
    logs.late.push((12, event(4, 2000, "from a late host")));
    logs.late.push((40, event(1, 999, "from the past")));
    let rule = MetricRule { name: "loss".into(), regex: "loss: ([0-9.]+)".into() };
    let batches = followed(logs, vec![rule]).await;
    let lines: Vec<&LogLine> = batches.iter().flat_map(|batch| &batch.lines).collect();
    let mut texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    let in_order: Vec<i64> = lines.iter().map(|line| line.at.as_millisecond()).filter(|at| (1000..2000).contains(at)).collect();
    assert!(in_order.is_sorted(), "{in_order:?}");
    texts.sort_unstable();
    texts.dedup();
    assert_eq!((texts.len(), lines.len()), (32, 32));
    let hosts = batches.iter().rfind(|batch| !batch.hosts.is_empty()).unwrap().hosts.clone();
    assert_eq!(hosts.iter().map(Safe::as_str).collect::<Vec<_>>(), ["algo-1", "algo-2", "algo-3", "algo-4"]);
    assert_eq!(batches.iter().map(|batch| batch.points.len()).sum::<usize>(), 30);
    let notes = notes(&batches);
    assert_eq!(notes.first(), Some(&TailNote::Waiting));
    assert_eq!(notes.last(), Some(&TailNote::Ended));
}

#[tokio::test]
async fn throttling_is_said_and_nothing_is_lost() {
    let mut logs = Logs::new((0..10).map(|n| event(1, n, &format!("line {n}"))).collect(), 3);
    logs.throttled = 2..8;
    let batches = followed(logs, Vec::new()).await;
    assert_eq!(batches.iter().map(|batch| batch.lines.len()).sum::<usize>(), 10);
    assert!(notes(&batches).iter().any(|note| matches!(note, TailNote::Throttled { .. })), "{:?}", notes(&batches));
}

#[tokio::test]
async fn two_hundred_thousand_lines_are_quick() {
    let logs = Logs::new((0..200_000).map(|n| event(1, n / 50, &format!("step {n} loss {n}"))).collect(), 10_000);
    let start = Instant::now();
    let batches = followed(logs, Vec::new()).await;
    assert_eq!(batches.iter().map(|batch| batch.lines.len()).sum::<usize>(), 200_000);
    assert!(start.elapsed() < Duration::from_mins(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_follower_ends_with_its_receiver() {
    let logs = Mutex::new(Logs::new(vec![event(1, 1, "x")], 5));
    let aws = Scripted::new(move |asked| logs.lock().unwrap().answer(asked)).connect(true, None).await;
    let source = LogSource { group: "g".into(), prefix: "job/".into() };
    let (_never, ended) = watch::channel(false);
    let (out, batches) = mpsc::channel(8);
    let task = tokio::spawn(follow(aws, source, Vec::new(), ended, out));
    drop(batches);
    tokio::time::timeout(Duration::from_secs(20), task).await.unwrap().unwrap();
}
