//! The local region through its TCP door, with the real AWS SDK: what a client that was not written for it sees.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sdk_s3::config::{BehaviorVersion, Region};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata as _};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier, ServerSideEncryption,
};
use footplate::local::sagemaker::EngineOptions;
use footplate::local::{LocalRegion, OpenError, Options, read_credentials, socket_path};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

struct Fixture {
    region: Arc<LocalRegion>,
    port: u16,
    stop: CancellationToken,
    folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let region = LocalRegion::open(options(folder.path())).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = CancellationToken::new();
        tokio::spawn(Arc::clone(&region).serve_tcp(listener, stop.clone()));
        Self { region, port, stop, folder }
    }

    fn keys(&self) -> Credentials {
        let keys = self.region.credentials();
        Credentials::new(&keys.access_key_id, &keys.secret_access_key, None, None, "test")
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn s3(&self) -> aws_sdk_s3::Client {
        self.s3_as(self.keys())
    }

    fn s3_as(&self, keys: Credentials) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(keys)
            .endpoint_url(self.endpoint())
            .force_path_style(true);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    fn logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        let config = aws_sdk_cloudwatchlogs::Config::builder()
            .behavior_version(aws_sdk_cloudwatchlogs::config::BehaviorVersion::latest())
            .region(aws_sdk_cloudwatchlogs::config::Region::new("us-east-1"))
            .credentials_provider(self.keys())
            .endpoint_url(self.endpoint());
        aws_sdk_cloudwatchlogs::Client::from_conf(config.build())
    }

    fn metrics(&self) -> aws_sdk_cloudwatch::Client {
        let config = aws_sdk_cloudwatch::Config::builder()
            .behavior_version(aws_sdk_cloudwatch::config::BehaviorVersion::latest())
            .region(aws_sdk_cloudwatch::config::Region::new("us-east-1"))
            .credentials_provider(self.keys())
            .endpoint_url(self.endpoint());
        aws_sdk_cloudwatch::Client::from_conf(config.build())
    }

    fn sts(&self, keys: Credentials, region: &'static str) -> aws_sdk_sts::Client {
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
            .region(aws_sdk_sts::config::Region::new(region))
            .credentials_provider(keys)
            .endpoint_url(self.endpoint());
        aws_sdk_sts::Client::from_conf(config.build())
    }

    /// Sends bytes as they are and returns the answer's head and body.
    async fn raw(&self, request: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        tokio::time::timeout(std::time::Duration::from_secs(10), read).await.expect("an answer and the end").ok();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn options(folder: &Path) -> Options {
    let engine = EngineOptions {
        keeper: PathBuf::from("/bin/false"),
        python: PathBuf::from("python3"),
        speed: 1.0,
        memory_bytes: None,
        disk_bytes: None,
        seconds: None,
    };
    Options { folder: folder.to_owned(), region: "us-east-1".to_owned(), engine }
}

fn code<E: aws_sdk_s3::error::ProvideErrorMetadata + std::error::Error>(error: &E) -> String {
    error.code().map_or_else(|| DisplayErrorContext(error).to_string(), str::to_owned)
}

async fn put(s3: &aws_sdk_s3::Client, key: &str, text: &str) {
    s3.put_object().bucket("bkt").key(key).body(ByteStream::from(text.as_bytes().to_vec())).send().await.unwrap();
}

async fn get(s3: &aws_sdk_s3::Client, key: &str) -> Vec<u8> {
    let answer = s3.get_object().bucket("bkt").key(key).send().await.unwrap();
    answer.body.collect().await.unwrap().into_bytes().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_answer_as_s3_does() {
    let fixture = Fixture::new().await;
    let s3 = fixture.s3();
    s3.create_bucket().bucket("bkt").send().await.unwrap();
    s3.create_bucket().bucket("bkt").send().await.expect("in us-east-1, your own bucket can be made again");
    assert_eq!(s3.list_buckets().send().await.unwrap().buckets()[0].name(), Some("bkt"));
    s3.head_bucket().bucket("bkt").expected_bucket_owner("000000000000").send().await.unwrap();
    let error = s3.head_bucket().bucket("bkt").expected_bucket_owner("111111111111").send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 403);
    let error = s3.head_bucket().bucket("other").send().await.unwrap_err();
    assert!(error.into_service_error().is_not_found());
    let location = s3.get_bucket_location().bucket("bkt").send().await.unwrap();
    assert!(location.location_constraint().is_none_or(|name| name.as_str().is_empty()), "us-east-1 has no name here");
    put(&s3, "k", "v").await;
    assert_eq!(code(&s3.delete_bucket().bucket("bkt").send().await.unwrap_err()), "BucketNotEmpty");
    s3.delete_object().bucket("bkt").key("k").send().await.unwrap();
    s3.delete_object().bucket("bkt").key("k").send().await.expect("deleting what is not there succeeds");
    s3.delete_bucket().bucket("bkt").send().await.unwrap();
    assert_eq!(code(&s3.delete_bucket().bucket("bkt").send().await.unwrap_err()), "NoSuchBucket");
    assert_eq!(code(&s3.create_bucket().bucket("No_Good").send().await.unwrap_err()), "InvalidBucketName");
    let error = s3.put_object().bucket("bkt").key("k").body(ByteStream::from_static(b"x")).send().await.unwrap_err();
    assert_eq!(code(&error), "NoSuchBucket");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_keep_bytes_headers_and_conditions() {
    let fixture = Fixture::new().await;
    let s3 = fixture.s3();
    s3.create_bucket().bucket("bkt").send().await.unwrap();
    for key in ["a", "a/b", "a/b/", "../../up", "with space", "ü/é ✓", "plus+and&", "dots/./../x", "//", "%2e%2e"] {
        put(&s3, key, key).await;
        assert_eq!(get(&s3, key).await, key.as_bytes(), "{key}");
    }
    let stored = s3
        .put_object()
        .bucket("bkt")
        .key("full")
        .body(ByteStream::from_static(b"hello world"))
        .content_type("text/plain")
        .cache_control("no-cache")
        .metadata("who", "me")
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .ssekms_key_id("arn:aws:kms:us-east-1:000000000000:key/k")
        .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
        .send()
        .await
        .unwrap();
    assert_eq!(stored.e_tag(), Some("\"5eb63bbbe01eeed093cb22bb8f5acdc3\""));
    assert_eq!(stored.server_side_encryption(), Some(&ServerSideEncryption::AwsKms));
    let head = s3.head_object().bucket("bkt").key("full").checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(
        (head.content_length(), head.content_type(), head.cache_control()),
        (Some(11), Some("text/plain"), Some("no-cache"))
    );
    assert_eq!(head.metadata().unwrap()["who"], "me");
    assert_eq!(head.checksum_crc64_nvme(), stored.checksum_crc64_nvme());
    assert!(stored.checksum_crc64_nvme().is_some());
    let part = s3.get_object().bucket("bkt").key("full").range("bytes=6-").send().await.unwrap();
    assert_eq!(part.content_range(), Some("bytes 6-10/11"));
    assert_eq!(part.body.collect().await.unwrap().into_bytes().as_ref(), b"world");
    let suffix = s3.get_object().bucket("bkt").key("full").range("bytes=-5").send().await.unwrap();
    assert_eq!(suffix.body.collect().await.unwrap().into_bytes().as_ref(), b"world");
    let error = s3.get_object().bucket("bkt").key("full").range("bytes=99-").send().await.unwrap_err();
    assert_eq!(code(&error), "InvalidRange");
    assert!(s3.get_object().bucket("bkt").key("none").send().await.unwrap_err().into_service_error().is_no_such_key());
    assert!(s3.head_object().bucket("bkt").key("none").send().await.unwrap_err().into_service_error().is_not_found());

    let write = || s3.put_object().bucket("bkt").key("full").body(ByteStream::from_static(b"new"));
    assert_eq!(code(&write().if_none_match("*").send().await.unwrap_err()), "PreconditionFailed");
    assert_eq!(code(&write().if_match("\"00000000000000000000000000000000\"").send().await.unwrap_err()), "PreconditionFailed");
    assert_eq!(get(&s3, "full").await, b"hello world");
    write().if_match(stored.e_tag().unwrap()).send().await.unwrap();
    assert_eq!(get(&s3, "full").await, b"new");
    let error = s3.get_object().bucket("bkt").key("full").if_match(stored.e_tag().unwrap()).send().await.unwrap_err();
    assert_eq!(code(&error), "PreconditionFailed");
    let etag = s3.head_object().bucket("bkt").key("full").send().await.unwrap().e_tag().unwrap().to_owned();
    let error = s3.get_object().bucket("bkt").key("full").if_none_match(&etag).send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 304);

    let wrong =
        s3.put_object().bucket("bkt").key("full").body(ByteStream::from_static(b"x")).content_md5("1B2M2Y8AsgTpgAmY7PhCfg==");
    assert_eq!(code(&wrong.send().await.unwrap_err()), "BadDigest");
    let wrong = s3.put_object().bucket("bkt").key("full").body(ByteStream::from_static(b"x")).checksum_crc32("AAAAAA==");
    assert_eq!(code(&wrong.send().await.unwrap_err()), "BadDigest");
    assert_eq!(get(&s3, "full").await, b"new");

    s3.copy_object().bucket("bkt").key("copy of it").copy_source("bkt/%C3%BC%2F%C3%A9%20%E2%9C%93").send().await.unwrap();
    assert_eq!(get(&s3, "copy of it").await, "ü/é ✓".as_bytes());
    let error = s3.copy_object().bucket("bkt").key("x").copy_source("bkt/none").send().await.unwrap_err();
    assert_eq!(code(&error), "NoSuchKey");
    let some = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = Delete::builder().objects(some("a/b")).objects(some("never there")).build().unwrap();
    let deleted = s3.delete_objects().bucket("bkt").delete(delete).send().await.unwrap();
    assert_eq!((deleted.deleted().len(), deleted.errors().len()), (2, 0));
    assert_eq!(get(&s3, "a").await, b"a");
    assert_eq!(get(&s3, "a/b/").await, b"a/b/");
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_page_fold_and_resume() {
    let fixture = Fixture::new().await;
    let s3 = fixture.s3();
    s3.create_bucket().bucket("bkt").send().await.unwrap();
    for number in 0..7 {
        put(&s3, &format!("dir{}/x{number}", number / 3), "x").await;
        put(&s3, &format!("top {number}"), "xy").await;
    }
    let mut keys = Vec::new();
    let mut pages = s3.list_objects_v2().bucket("bkt").max_keys(4).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert!(page.key_count().unwrap() <= 4);
        keys.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    assert_eq!(keys.len(), 14);
    assert!(keys.is_sorted());
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    let mut pages = s3.list_objects_v2().bucket("bkt").delimiter("/").max_keys(2).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        folders.extend(page.common_prefixes().iter().map(|prefix| prefix.prefix().unwrap().to_owned()));
        files.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    assert_eq!(folders, ["dir0/", "dir1/", "dir2/"]);
    assert_eq!(files, (0..7).map(|number| format!("top {number}")).collect::<Vec<_>>());
    let page = s3.list_objects_v2().bucket("bkt").prefix("dir1/").send().await.unwrap();
    assert_eq!(page.key_count(), Some(3));
    assert_eq!(page.contents()[0].e_tag(), Some("\"9dd4e461268c8034f5c8564e155c67a6\""));
    let page = s3.list_objects_v2().bucket("bkt").start_after("top 4").send().await.unwrap();
    assert_eq!(page.contents().iter().map(|object| object.key().unwrap()).collect::<Vec<_>>(), ["top 5", "top 6"]);
    let page = s3.list_objects().bucket("bkt").delimiter("/").max_keys(1).send().await.unwrap();
    assert_eq!((page.is_truncated(), page.next_marker()), (Some(true), Some("dir0/")));
    let page = s3.list_objects().bucket("bkt").delimiter("/").max_keys(1).marker("dir0/").send().await.unwrap();
    assert_eq!(page.common_prefixes()[0].prefix(), Some("dir1/"));
    let page = s3.list_objects_v2().bucket("bkt").max_keys(0).send().await.unwrap();
    assert_eq!((page.key_count(), page.is_truncated()), (Some(0), Some(false)));
    let error = s3.list_objects_v2().bucket("bkt").continuation_token("?").send().await.unwrap_err();
    assert_eq!(code(&error), "InvalidArgument");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multipart_upload_is_one_object_at_the_end_and_nothing_before() {
    let fixture = Fixture::new().await;
    let s3 = fixture.s3();
    s3.create_bucket().bucket("bkt").send().await.unwrap();
    let begin = s3.create_multipart_upload().bucket("bkt").key("big").content_type("image/png").send().await.unwrap();
    let id = begin.upload_id().unwrap();
    let large = vec![7_u8; 5 * 1024 * 1024];
    let mut parts = Vec::new();
    for (number, bytes) in [(1, large.clone()), (2, b"end".to_vec())] {
        let part = s3
            .upload_part()
            .bucket("bkt")
            .key("big")
            .upload_id(id)
            .part_number(number)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .unwrap();
        parts.push(CompletedPart::builder().part_number(number).e_tag(part.e_tag().unwrap()).build());
    }
    assert!(s3.get_object().bucket("bkt").key("big").send().await.unwrap_err().into_service_error().is_no_such_key());
    let listed = s3.list_parts().bucket("bkt").key("big").upload_id(id).send().await.unwrap();
    assert_eq!(listed.parts().iter().map(|part| part.size().unwrap()).collect::<Vec<_>>(), [5 * 1024 * 1024, 3]);
    let uploads = s3.list_multipart_uploads().bucket("bkt").send().await.unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(id));
    let complete = |parts: &[CompletedPart]| {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build();
        s3.complete_multipart_upload().bucket("bkt").key("big").upload_id(id).multipart_upload(parts).send()
    };
    let reversed: Vec<CompletedPart> = parts.iter().rev().cloned().collect();
    assert_eq!(code(&complete(&reversed).await.unwrap_err()), "InvalidPartOrder");
    let wrong = [CompletedPart::builder().part_number(1).e_tag("\"0\"").build()];
    assert_eq!(code(&complete(&wrong).await.unwrap_err()), "InvalidPart");
    let done = complete(&parts).await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-2\""), "{:?}", done.e_tag());
    let object = s3.get_object().bucket("bkt").key("big").send().await.unwrap();
    assert_eq!((object.content_type(), object.e_tag()), (Some("image/png"), done.e_tag()));
    let bytes = object.body.collect().await.unwrap().into_bytes();
    assert_eq!((bytes.len(), &bytes[bytes.len() - 4..]), (large.len() + 3, &b"\x07end"[..]));
    assert_eq!(code(&complete(&parts).await.unwrap_err()), "NoSuchUpload");

    let begin = s3.create_multipart_upload().bucket("bkt").key("given up").send().await.unwrap();
    let id = begin.upload_id().unwrap();
    let small = s3.upload_part().bucket("bkt").key("given up").upload_id(id).part_number(1).body(ByteStream::from_static(b"x"));
    small.send().await.unwrap();
    s3.abort_multipart_upload().bucket("bkt").key("given up").upload_id(id).send().await.unwrap();
    let error = s3.list_parts().bucket("bkt").key("given up").upload_id(id).send().await.unwrap_err();
    assert_eq!(code(&error), "NoSuchUpload");
    assert!(s3.list_multipart_uploads().bucket("bkt").send().await.unwrap().uploads().is_empty());
}

async fn write(logs: &aws_sdk_cloudwatchlogs::Client, stream: &str, events: &[(i64, String)]) {
    let event = |(time, message): &(i64, String)| {
        aws_sdk_cloudwatchlogs::types::InputLogEvent::builder().timestamp(*time).message(message).build().unwrap()
    };
    let events = events.iter().map(event).collect();
    logs.put_log_events().log_group_name("/g").log_stream_name(stream).set_log_events(Some(events)).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sees_every_event_once_late_ones_too() {
    let fixture = Fixture::new().await;
    let logs = fixture.logs();
    let error = logs.describe_log_streams().log_group_name("/g").send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception());
    assert_eq!(error.message(), Some("The specified log group does not exist."));
    logs.create_log_group().log_group_name("/g").send().await.unwrap();
    let error = logs.get_log_events().log_group_name("/g").log_stream_name("s").send().await.unwrap_err().into_service_error();
    assert_eq!(error.message(), Some("The specified log stream does not exist."));
    logs.create_log_stream().log_group_name("/g").log_stream_name("s").send().await.unwrap();
    let read = async |token: Option<String>, limit: i32| {
        let call = logs.get_log_events().log_group_name("/g").log_stream_name("s").start_from_head(true).limit(limit);
        let page = call.set_next_token(token).send().await.unwrap();
        let texts: Vec<String> = page.events().iter().map(|event| event.message().unwrap().to_owned()).collect();
        (texts, page.next_forward_token().unwrap().to_owned())
    };
    let (none, mut token) = read(None, 10).await;
    assert!(none.is_empty());
    assert_eq!(read(Some(token.clone()), 10).await.1, token, "at the end the token comes back");
    let mut expected = Vec::new();
    let mut seen = Vec::new();
    // Bursts of equal times, then events that come late with earlier times, read in small pages in between.
    for round in 0..6_i64 {
        let time = if round % 2 == 0 { 1_000 + round * 10 } else { 500 - round };
        let burst: Vec<(i64, String)> = (0..25).map(|number| (time, format!("{round}.{number}"))).collect();
        expected.extend(burst.iter().map(|(_, text)| text.clone()));
        write(&logs, "s", &burst).await;
        for _ in 0..2 {
            let (texts, next) = read(Some(token), 7).await;
            seen.extend(texts);
            token = next;
        }
    }
    loop {
        let (texts, next) = read(Some(token.clone()), 7).await;
        let end = next == token;
        assert_eq!(end, texts.is_empty());
        seen.extend(texts);
        token = next;
        if end {
            break;
        }
    }
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);

    let latest = logs.get_log_events().log_group_name("/g").log_stream_name("s").limit(3).send().await.unwrap();
    assert_eq!(latest.events().iter().map(|event| event.message().unwrap()).collect::<Vec<_>>(), ["4.22", "4.23", "4.24"]);
    let before = logs
        .get_log_events()
        .log_group_name("/g")
        .log_stream_name("s")
        .limit(2)
        .next_token(latest.next_backward_token().unwrap());
    assert_eq!(before.send().await.unwrap().events()[1].message(), Some("4.21"));
    let window =
        logs.get_log_events().log_group_name("/g").log_stream_name("s").start_time(1_000).end_time(1_020).start_from_head(true);
    assert_eq!(window.send().await.unwrap().events().len(), 25);
    let error = logs.get_log_events().log_group_name("/g").log_stream_name("s").next_token("f/x").send().await.unwrap_err();
    assert!(error.into_service_error().is_invalid_parameter_exception());
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_found_and_filtered_across() {
    let fixture = Fixture::new().await;
    let logs = fixture.logs();
    logs.create_log_group().log_group_name("/g").send().await.unwrap();
    for number in 0..3 {
        let name = format!("job/algo-{number}");
        logs.create_log_stream().log_group_name("/g").log_stream_name(&name).send().await.unwrap();
        let events: Vec<(i64, String)> =
            (0..4).map(|line| (1_000 + line * 10 + number, format!("host {number} line {line}"))).collect();
        write(&logs, &name, &events).await;
    }
    logs.create_log_stream().log_group_name("/g").log_stream_name("jobs/other").send().await.unwrap();
    let page = logs.describe_log_streams().log_group_name("/g").log_stream_name_prefix("job/").limit(3).send().await.unwrap();
    assert_eq!((page.log_streams().len(), page.next_token()), (3, None));
    let page = logs.describe_log_streams().log_group_name("/g").limit(2).send().await.unwrap();
    let rest = logs.describe_log_streams().log_group_name("/g").next_token(page.next_token().unwrap()).send().await.unwrap();
    assert_eq!(rest.log_streams()[1].log_stream_name(), Some("jobs/other"));
    let newest =
        logs.describe_log_streams().log_group_name("/g").order_by("LastEventTime".into()).descending(true).send().await.unwrap();
    assert_eq!(newest.log_streams()[0].log_stream_name(), Some("job/algo-2"));
    let mut texts = Vec::new();
    let mut ids = std::collections::HashSet::new();
    let mut pages = logs
        .filter_log_events()
        .log_group_name("/g")
        .log_stream_name_prefix("job/")
        .filter_pattern("-\"line 0\"")
        .limit(4)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        for event in page.unwrap().events() {
            texts.push(event.message().unwrap().to_owned());
            assert!(ids.insert(event.event_id().unwrap().to_owned()));
        }
    }
    let wanted: Vec<String> = (1..4).flat_map(|line| (0..3).map(move |host| format!("host {host} line {line}"))).collect();
    assert_eq!(texts, wanted);
    logs.delete_log_group().log_group_name("/g").send().await.unwrap();
    assert!(logs.describe_log_groups().send().await.unwrap().log_groups().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_fold_into_periods() {
    use aws_sdk_cloudwatch::primitives::DateTime;
    use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricDatum, MetricStat, Statistic};
    let fixture = Fixture::new().await;
    let metrics = fixture.metrics();
    let dimension = || Dimension::builder().name("TrainingJobName").value("job").build();
    for (second, value) in [(0, 4.0), (30, 2.0), (60, 1.0), (185, 0.5)] {
        let datum = MetricDatum::builder()
            .metric_name("loss")
            .dimensions(dimension())
            .value(value)
            .timestamp(DateTime::from_secs(600_000 + second));
        metrics.put_metric_data().namespace("/aws/sagemaker/TrainingJobs").metric_data(datum.build()).send().await.unwrap();
    }
    let statistics = metrics
        .get_metric_statistics()
        .namespace("/aws/sagemaker/TrainingJobs")
        .metric_name("loss")
        .dimensions(dimension())
        .start_time(DateTime::from_secs(600_000))
        .end_time(DateTime::from_secs(600_300))
        .period(60)
        .statistics(Statistic::Average)
        .statistics(Statistic::Minimum)
        .send()
        .await
        .unwrap();
    let found: Vec<(i64, f64, f64)> = statistics
        .datapoints()
        .iter()
        .map(|point| (point.timestamp().unwrap().secs() - 600_000, point.average().unwrap(), point.minimum().unwrap()))
        .collect();
    assert_eq!(found, [(0, 3.0, 2.0), (60, 1.0, 1.0), (180, 0.5, 0.5)]);
    let metric = Metric::builder().namespace("/aws/sagemaker/TrainingJobs").metric_name("loss").dimensions(dimension()).build();
    let stat = MetricStat::builder().metric(metric).period(60).stat("Maximum").build();
    let query = MetricDataQuery::builder().id("q").metric_stat(stat).build();
    let ask = || metrics.get_metric_data().start_time(DateTime::from_secs(600_000)).end_time(DateTime::from_secs(600_300));
    let mut values = Vec::new();
    let mut pages = ask().metric_data_queries(query).max_datapoints(2).into_paginator().send();
    while let Some(page) = pages.next().await {
        values.extend_from_slice(page.unwrap().metric_data_results()[0].values());
    }
    assert_eq!(values, [0.5, 1.0, 4.0], "newest first unless told otherwise");
    let math = MetricDataQuery::builder().id("m").expression("q * 2").build();
    let error = ask().metric_data_queries(math).send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidParameterValue"));
    let listed = metrics.list_metrics().namespace("/aws/sagemaker/TrainingJobs").send().await.unwrap();
    assert_eq!(listed.metrics()[0].dimensions()[0].value(), Some("job"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_wrong_regions_and_real_keys_are_refused() {
    let fixture = Fixture::new().await;
    let who = fixture.sts(fixture.keys(), "us-east-1").get_caller_identity().send().await.unwrap();
    assert_eq!(who.arn(), Some("arn:aws:sts::000000000000:assumed-role/footplate-local-execution-role/footplate"));
    let stranger = Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None, None, "test");
    let error = fixture.sts(stranger.clone(), "us-east-1").get_caller_identity().send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidClientTokenId"));
    assert_eq!(code(&fixture.s3_as(stranger).list_buckets().send().await.unwrap_err()), "InvalidAccessKeyId");
    let guess = Credentials::new(&fixture.region.credentials().access_key_id, "0".repeat(64), None, None, "test");
    let error = fixture.sts(guess.clone(), "us-east-1").get_caller_identity().send().await.unwrap_err();
    assert_eq!(error.code(), Some("SignatureDoesNotMatch"));
    assert_eq!(code(&fixture.s3_as(guess).list_buckets().send().await.unwrap_err()), "SignatureDoesNotMatch");
    let error = fixture.sts(fixture.keys(), "eu-west-1").get_caller_identity().send().await.unwrap_err();
    assert_eq!(error.code(), Some("SignatureDoesNotMatch"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_has_one_owner_and_keeps_its_secret() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::new().await;
    let folder = fixture.folder.path();
    match LocalRegion::open(options(folder)).await {
        Err(OpenError::InUse { pid }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{:?}", other.err()),
    }
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder), 0o700);
    assert_eq!(mode(&folder.join("credentials.json")), 0o600);
    let keys = read_credentials(folder).unwrap();
    assert_eq!(&keys, fixture.region.credentials());
    assert!(!format!("{keys:?}").contains(&keys.secret_access_key));
    let stop = CancellationToken::new();
    let served = Arc::clone(&fixture.region).serve_unix(stop.clone()).unwrap();
    let mut stream = tokio::net::UnixStream::connect(socket_path(folder)).await.expect("it is open before it is served");
    let served = tokio::spawn(served);
    assert_eq!(mode(&socket_path(folder)), 0o600);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    stop.cancel();
    served.await.unwrap();
    assert!(!socket_path(folder).exists());
    let anywhere = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    assert!(Arc::clone(&fixture.region).serve_tcp(anywhere, CancellationToken::new()).await.is_err());
    fixture.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_refuses_what_is_not_an_aws_client() {
    let fixture = Fixture::new().await;
    let port = fixture.port;
    let here = format!("127.0.0.1:{port}");
    let hosts = [
        "evil.com".to_owned(),
        format!("evil.com:{port}"),
        format!("127.0.0.1.evil.com:{port}"),
        format!("localhost.evil.com:{port}"),
        format!("evil.localhost.com:{port}"),
        format!("localhost.:{port}"),
        format!("LOCALHOST:{port}"),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        format!("127.0.0.1:{}", port ^ 1),
        format!("127.1:{port}"),
        format!("2130706433:{port}"),
        format!("0x7f000001:{port}"),
        format!("0177.0.0.1:{port}"),
        format!("0.0.0.0:{port}"),
        format!("[::]:{port}"),
        format!("[::1%25lo]:{port}"),
        format!("[0:0:0:0:0:0:0:1]:{port}"),
        format!("::1:{port}"),
        format!("user@127.0.0.1:{port}"),
        format!("127.0.0.1:{port}@evil.com"),
        format!("127.0.0.1:0{port}"),
        format!("127.0.0.1 :{port}"),
        format!("Bad_Bucket.localhost:{port}"),
        format!(".localhost:{port}"),
        format!("bkt.127.0.0.1:{port}"),
        format!("ü.localhost:{port}"),
        String::new(),
    ];
    for host in &hosts {
        let answer = fixture.raw(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 421") || answer.starts_with("HTTP/1.1 400"), "{host}: {answer}");
    }
    let wrong = [
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nHost: {here}\r\nHost: {here}\r\nConnection: close\r\n\r\n"),
        format!("GET http://{here}/ HTTP/1.1\r\nHost: {here}\r\nConnection: close\r\n\r\n"),
        format!("GET http://evil.com/ HTTP/1.1\r\nHost: {here}\r\nConnection: close\r\n\r\n"),
        format!("CONNECT {here} HTTP/1.1\r\nHost: {here}\r\nConnection: close\r\n\r\n"),
        format!(
            "GET / HTTP/1.1\r\nHost: {here}\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
        ),
        format!("GET / HTTP/1.1\r\nHost: {here}\r\nX: {}\r\nConnection: close\r\n\r\n", "a".repeat(100_000)),
        format!("GET / HTTP/1.1\r\nHost: {here}\r\n{}Connection: close\r\n\r\n", "X: a\r\n".repeat(200)),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
    ];
    for request in &wrong {
        let answer = fixture.raw(request).await;
        let refused =
            ["HTTP/1.1 421", "HTTP/1.1 400", "HTTP/1.1 431", "HTTP/1.1 403"].iter().any(|status| answer.starts_with(status));
        assert!(refused || answer.is_empty(), "{}: {answer}", &request[..request.len().min(120)]);
    }
    let pages = [
        ("GET", "Origin: http://evil.com"),
        ("POST", "Origin: null"),
        ("GET", "Referer: http://localhost/"),
        ("GET", "Sec-Fetch-Site: cross-site"),
        ("GET", "Sec-Fetch-Mode: no-cors"),
        ("POST", "Sec-Fetch-Dest: empty"),
        ("OPTIONS", "Access-Control-Request-Method: PUT"),
        ("OPTIONS", "X: y"),
        ("GET", "ORIGIN: http://127.0.0.1"),
    ];
    let unsigned = [
        ("GET", "X: y"),
        ("PUT", "X: y"),
        ("DELETE", "X: y"),
        ("HEAD", "X: y"),
        ("POST", "Content-Type: text/plain"),
        ("POST", "Content-Type: application/x-www-form-urlencoded"),
        ("POST", "Content-Type: multipart/form-data; boundary=x"),
        ("POST", "X-Amz-Target: SageMaker.ListTrainingJobs"),
        ("POST", "X-Amz-Target: Nothing.Known"),
        ("POST", "Smithy-Protocol: rpc-v2-cbor"),
    ];
    for (method, header) in pages.iter().chain(&unsigned) {
        for host in [&here, &format!("localhost:{port}"), &format!("bkt.localhost:{port}")] {
            let answer = fixture
                .raw(&format!(
                    "{method} / HTTP/1.1\r\nHost: {host}\r\n{header}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                ))
                .await;
            assert!(answer.starts_with("HTTP/1.1 403"), "{method} {header}: {answer}");
            assert!(!answer.to_ascii_lowercase().contains("access-control"), "{answer}");
        }
    }
    for authorization in ["Bearer x", "Basic YTpi", "AWS AKIA:sig", "AWS4-HMAC-SHA256 Credential=x"] {
        let answer = fixture
            .raw(&format!("GET / HTTP/1.1\r\nHost: {here}\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n"))
            .await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{authorization}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presigned_link_reads_one_object() {
    let fixture = Fixture::new().await;
    let s3 = fixture.s3();
    s3.create_bucket().bucket("bkt").send().await.unwrap();
    put(&s3, "k ü", "linked").await;
    let config = aws_sdk_s3::presigning::PresigningConfig::builder()
        .expires_in(std::time::Duration::from_mins(1))
        .start_time(SystemTime::now())
        .build()
        .unwrap();
    let link = s3.get_object().bucket("bkt").key("k ü").presigned(config).await.unwrap();
    let target = link.uri().strip_prefix(&fixture.endpoint()).unwrap();
    let ask = async |target: &str| {
        fixture.raw(&format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", fixture.port)).await
    };
    assert!(ask(target).await.ends_with("linked"));
    assert!(ask(&target.replace("X-Amz-Expires=60", "X-Amz-Expires=61")).await.contains("SignatureDoesNotMatch"));
    assert!(ask(&target.replace("/bkt/", "/bkx/")).await.contains("SignatureDoesNotMatch"));
}
