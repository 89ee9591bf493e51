//! Everything about one folder, one object or one incomplete upload.

use super::partial::{self, Partial};
use super::picture;
use crate::aws::s3_uri::S3Uri;
use crate::aws::upload::incomplete;
use crate::aws::{Aws, fault, time};
use crate::model::{Block, Cell, Failure, FailureKind, Safe, show};

/// Bytes of an object that are read to look at it: enough for the head of a picture behind its metadata.
const START: usize = 64 << 10;
/// Bytes of a text that are shown.
const TEXT: usize = 4 << 10;

/// A bucket's or a folder's size.
pub(super) async fn folder(aws: &Aws, at: &S3Uri) -> Result<Vec<Block>, Failure> {
    let call = aws.s3.list_objects_v2().bucket(&at.bucket).prefix(&at.key);
    let page = call.send().await.map_err(|error| fault::tell(&format!("looking at {at}"), &error))?;
    let size = page.contents().iter().filter_map(|object| u64::try_from(object.size()?).ok()).sum();
    let count = page.contents().len() as u64;
    // One page is read, so beyond it only "more than" is true.
    let more = page.is_truncated() == Some(true);
    let said = |cell: Cell, words: String| if more { Cell::Text(Safe::line(&format!("more than {words}"))) } else { cell };
    let facts = vec![
        ("objects".into(), said(Cell::Count(count), show::grouped(count))),
        ("size".into(), said(Cell::Bytes(size), show::size(size))),
        ("address".into(), Cell::Text(Safe::line(&at.to_string()))),
    ];
    Ok(vec![Block::Facts { title: "folder".into(), facts }])
}

/// An object's facts, and how it begins.
pub(super) async fn object(aws: &Aws, at: &S3Uri) -> Result<Vec<Block>, Failure> {
    let doing = format!("looking at {at}");
    let head = aws.s3.head_object().bucket(&at.bucket).key(&at.key).send().await.map_err(|error| fault::tell(&doing, &error))?;
    let text = |text: &str| Cell::Text(Safe::line(text));
    let size = head.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
    let mut facts = vec![("size".into(), Cell::Bytes(size))];
    facts.extend(head.last_modified().map(|at| ("modified".into(), Cell::Time(time::ours(at)))));
    facts.extend(head.content_type().map(|kind| ("type".into(), text(kind))));
    facts.push(("address".into(), text(&at.to_string())));
    facts.extend(head.e_tag().map(|tag| ("etag".into(), text(tag.trim_matches('"')))));
    facts.push(("class".into(), text(head.storage_class().map_or("STANDARD", |class| class.as_str()))));
    facts.extend(head.server_side_encryption().map(|kind| ("encryption".into(), text(kind.as_str()))));
    let mut blocks = vec![Block::Facts { title: "object".into(), facts }];
    if size > 0 {
        let start = beginning(aws, at, &doing).await?;
        if let Some(picture) = picture::look(&start) {
            blocks.push(Block::Facts { title: "picture".into(), facts: picture.facts() });
        } else if let Some(text) = readable(&start[..start.len().min(TEXT)]) {
            blocks.push(Block::Text { title: "begins with".into(), text: Safe::text(text) });
        }
    }
    Ok(blocks)
}

/// The first bytes of an object that has some. Never more than [`START`], whatever the service sends.
async fn beginning(aws: &Aws, at: &S3Uri, doing: &str) -> Result<Vec<u8>, Failure> {
    let call = aws.s3.get_object().bucket(&at.bucket).key(&at.key).range(format!("bytes=0-{}", START - 1));
    let mut body = call.send().await.map_err(|error| fault::tell(doing, &error))?.body;
    let mut start = Vec::new();
    while start.len() < START
        && let Some(bytes) = body.next().await
    {
        start.extend(bytes.map_err(|error| Failure::new(FailureKind::Network, format!("{doing}: {error}"), ""))?);
    }
    start.truncate(START);
    Ok(start)
}

/// One incomplete upload, or all of a bucket.
pub(super) async fn partial(aws: &Aws, of: &Partial) -> Result<Vec<Block>, Failure> {
    let found = partial::find(aws, of).await?;
    let account = aws.identity().await?.account;
    let text = |text: &str| Cell::Text(Safe::line(text));
    let oldest = found.iter().filter_map(|upload| upload.initiated).min();
    let begun = ("begun".into(), oldest.map_or(Cell::Absent, Cell::Time));
    let mut facts = Vec::new();
    if let (Some(_), [upload]) = (&of.one, found.as_slice()) {
        let parts = incomplete::parts(&aws.s3, &account, upload).await?;
        facts.push(("size so far".into(), Cell::Bytes(parts.values().map(|part| part.size).sum())));
        facts.push(("parts".into(), Cell::Count(parts.len() as u64)));
        facts.push(begun);
        facts.push(("of".into(), text(&upload.at.to_string())));
        if upload.initiator.starts_with("arn:") {
            facts.push(("by".into(), text(&upload.initiator)));
        }
        facts.push(("upload id".into(), text(&upload.id)));
    } else {
        facts.extend([("uploads".into(), Cell::Count(found.len() as u64)), begun]);
    }
    let said = "What has arrived is stored and costs as much as an object, but is none. Uploading the same file to the same place continues it; deleting it here gives it up.";
    Ok(vec![
        Block::Facts { title: "incomplete upload".into(), facts },
        Block::Text { title: "what this is".into(), text: said.into() },
    ])
}

/// The bytes as text, when they are text; a character cut at the end is left out.
fn readable(bytes: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    (!text.contains('\0')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_is_previewed() {
        assert_eq!(readable("grün".as_bytes()), Some("grün"));
        assert_eq!(readable(&"grün".as_bytes()[..3]), Some("gr"));
        assert_eq!(readable(b"\x89PNG\r\n"), None);
        assert_eq!(readable(b"a\0b"), None);
    }
}
