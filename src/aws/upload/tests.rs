//! Uploads over a scripted transport: what is sent, what is not, and what is left when it breaks.

use md5::{Digest, Md5};

use super::*;
use crate::aws::scripted::{Answer, Asked, Notes, SILENCE, Scripted};
use crate::aws::with_order;

const WHO: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>a</Arn><UserId>u</UserId><Account>000000000000</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

/// A bucket: objects (key, size, etag) as listed, parts of an upload that broke off (number, size, etag), and how part 2
/// fails (status or silence, code).
#[derive(Default)]
struct Store {
    objects: Vec<(&'static str, u64, String)>,
    parts: Vec<(u32, usize, String)>,
    second_part: Option<(u16, &'static str)>,
}

impl Store {
    fn open(self) -> Scripted {
        Scripted::new(move |asked| self.answer(asked))
    }

    fn answer(&self, asked: &Asked) -> Answer {
        let said = |status: u16, body: String| (status, body.into_bytes());
        let (method, path) = asked.operation.split_once(' ').unwrap();
        let many = |rows: Vec<String>| rows.concat();
        match method {
            "POST" if path == "/" => said(200, WHO.into()),
            "POST" if asked.uri.contains("uploads") => {
                said(200, "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>".into())
            }
            "POST" => said(200, "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>".into()),
            "GET" if asked.uri.contains("uploadId=") => {
                let row = |(number, size, etag): &(u32, usize, String)| {
                    format!(
                        "<Part><PartNumber>{number}</PartNumber><Size>{size}</Size><ETag>\"{etag}\"</ETag><ChecksumCRC32>c</ChecksumCRC32></Part>"
                    )
                };
                said(200, format!("<ListPartsResult>{}</ListPartsResult>", many(self.parts.iter().map(row).collect())))
            }
            "GET" if asked.uri.contains("uploads") => {
                let one =
                    "<Upload><Key>in%2Fbig</Key><UploadId>u0</UploadId><ChecksumAlgorithm>CRC32</ChecksumAlgorithm></Upload>";
                let rows = if self.parts.is_empty() { "" } else { one };
                said(200, format!("<ListMultipartUploadsResult>{rows}</ListMultipartUploadsResult>"))
            }
            "GET" => {
                let row = |(key, size, etag): &(&str, u64, String)| {
                    format!("<Contents><Key>{key}</Key><Size>{size}</Size><ETag>\"{etag}\"</ETag></Contents>")
                };
                let rows = many(self.objects.iter().map(row).collect());
                said(200, format!("<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"))
            }
            "PUT" if asked.uri.contains("partNumber=2") => match self.second_part {
                Some((status, code)) => said(status, format!("<Error><Code>{code}</Code><Message>no</Message></Error>")),
                None => said(200, String::new()),
            },
            "DELETE" => said(204, String::new()),
            _ => said(200, String::new()),
        }
    }
}

async fn sent(http: &Scripted, folder: &std::path::Path) -> (Result<Done, Failure>, Vec<String>) {
    let aws = http.connect(false, Some(Arc::new(Notes::default()))).await;
    let plan = plan(folder).unwrap();
    let done = with_order("o".into(), upload(&aws, &plan, &S3Uri::new("data", "in/"), &|_| {})).await;
    let changes = http.operations().into_iter().filter(|name| ["PUT", "DELETE"].iter().any(|verb| name.starts_with(verb)));
    (done, changes.collect())
}

/// A folder with one file that goes in three parts.
fn big() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("big"), vec![7; usize::try_from(IN_PARTS + 5).unwrap()]).unwrap();
    folder
}

#[tokio::test]
async fn unchanged_files_are_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("same"), "same").unwrap();
    std::fs::write(folder.path().join("new"), "1234").unwrap();
    let objects = vec![("in/same", 4, hex::encode(Md5::digest("same"))), ("in/new", 4, "0".repeat(32))];
    let (done, changes) = sent(&Store { objects, ..Store::default() }.open(), folder.path()).await;
    assert_eq!(done.unwrap(), Done { sent: 1, bytes: 4, unchanged: 1, continued: 0 });
    assert_eq!(changes, ["PUT /data/in/new"]);
}

#[tokio::test]
async fn a_large_file_goes_in_parts_and_a_refusal_takes_it_back() {
    let folder = big();
    let (done, changes) = sent(&Store::default().open(), folder.path()).await;
    assert_eq!((done.unwrap().sent, changes.len()), (1, 3));
    let refusing = Store { second_part: Some((403, "AccessDenied")), ..Store::default() };
    let (failed, changes) = sent(&refusing.open(), folder.path()).await;
    assert_eq!(failed.unwrap_err().kind, FailureKind::Denied);
    assert!(changes.iter().any(|name| name == "DELETE /data/in/big"), "{changes:?}");
}

#[tokio::test]
async fn what_has_arrived_stays_when_only_the_session_has_expired() {
    let expired = Store { second_part: Some((400, "ExpiredToken")), ..Store::default() };
    let (failed, changes) = sent(&expired.open(), big().path()).await;
    let failure = failed.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Expired);
    assert!(failure.hint.as_str().contains("Upload again to continue"), "{failure}");
    assert!(!changes.iter().any(|name| name.starts_with("DELETE")), "{changes:?}");
}

#[tokio::test]
async fn the_next_run_sends_only_the_parts_that_are_missing_or_differ() {
    let part = 8 << 20;
    let same = hex::encode(Md5::digest(vec![7; part]));
    let there = Store { parts: vec![(1, part, same), (2, part, "0".repeat(32))], ..Store::default() };
    let http = there.open();
    let (done, changes) = sent(&http, big().path()).await;
    assert_eq!(done.unwrap(), Done { sent: 1, bytes: 8 * 1024 * 1024 + 5, unchanged: 0, continued: 1 });
    assert_eq!(changes.len(), 2, "parts 2 and 3: {changes:?}");
    let asked = http.asked.lock().unwrap();
    let parts: Vec<&str> =
        asked.iter().filter(|asked| asked.operation.starts_with("PUT")).map(|asked| asked.uri.as_str()).collect();
    assert!(parts.iter().all(|uri| uri.contains("uploadId=u0") && !uri.contains("partNumber=1")), "{parts:?}");
    let whole = asked.iter().find(|asked| asked.operation.starts_with("POST /data")).unwrap();
    assert!(String::from_utf8_lossy(&whole.body).contains("<PartNumber>3</PartNumber>"), "completed with all three");
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_is_sent_as_it_is_then() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("growing");
    std::fs::write(&path, "1").unwrap();
    let plan = plan(folder.path()).unwrap();
    std::fs::write(&path, "12345").unwrap();
    let http = Store::default().open();
    let aws = http.connect(false, Some(Arc::new(Notes::default()))).await;
    let done = with_order("o".into(), upload(&aws, &plan, &S3Uri::new("data", ""), &|_| {})).await.unwrap();
    assert_eq!((done.sent, done.bytes), (1, 5));
}

#[tokio::test]
async fn an_upload_that_is_called_off_is_taken_back() {
    let folder = big();
    let http = Store { second_part: Some((SILENCE, "")), ..Store::default() }.open();
    let aws = http.connect(false, Some(Arc::new(Notes::default()))).await;
    let plan = plan(folder.path()).unwrap();
    let counted = |start: &'static str| http.operations().iter().filter(|name| name.starts_with(start)).count();
    {
        let target = S3Uri::new("data", "in/");
        let mut order = Box::pin(with_order("o".into(), upload(&aws, &plan, &target, &|_| {})));
        // Until one part has arrived and another one is on its way, then dropped as a cancelled task is.
        while counted("PUT /data/in/big") < 2 {
            assert!(futures_util::poll!(&mut order).is_pending(), "ended before it could be called off");
            tokio::task::yield_now().await;
        }
    }
    // Tasks end when they next get their turn.
    let deadline = Instant::now() + Duration::from_secs(10);
    while counted("DELETE /data/in/big") == 0 {
        assert!(Instant::now() < deadline, "never taken back: {:?}", http.operations());
        tokio::task::yield_now().await;
    }
    aws.aftermath().await;
}
