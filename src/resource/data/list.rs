//! The lists: buckets, what is in them, and the uploads that were never completed.

use aws_sdk_s3::types::{EncodingType, Object};

use super::partial::{self, Partial};
use super::state;
use crate::aws::bucket::from_url;
use crate::aws::s3_uri::S3Uri;
use crate::aws::upload::incomplete;
use crate::aws::{Aws, fault, time};
use crate::model::{Cell, Failure, Item, ItemId, Page, Safe};

/// Pages of a thousand that one listing reads; what lies beyond is reached by opening a folder or filtering.
const PAGES: usize = 20;
/// Incomplete uploads whose size a list asks for.
const MEASURED: usize = 20;

fn row(at: &S3Uri, size: Cell, modified: Cell, class: &str) -> Item {
    let container = at.is_folder();
    let name = if container && !at.is_bucket() { format!("{}/", at.name()) } else { at.name().to_owned() };
    let cells = vec![Cell::Text(Safe::line(&name)), size, modified, Cell::Text(Safe::line(class))];
    Item { id: ItemId(at.to_string()), state: state(class), cells, container, per_hour: None }
}

/// All buckets of the account.
pub(super) async fn buckets(aws: &Aws, page: &(dyn Fn(Page) + Send + Sync)) -> Result<(), Failure> {
    let answer = aws.s3.list_buckets().send().await.map_err(|error| fault::tell("listing buckets", &error))?;
    let made = |at: Option<&aws_sdk_s3::primitives::DateTime>| at.map_or(Cell::Absent, |at| Cell::Time(time::ours(at)));
    let items = answer.buckets().iter().map(|bucket| {
        row(&S3Uri::new(bucket.name().unwrap_or_default(), ""), Cell::Absent, made(bucket.creation_date()), "bucket")
    });
    page(Page { items: items.collect(), whole: true, more: false });
    Ok(())
}

/// What is in a bucket or a folder, page by page; at the top of a bucket also the uploads that were never completed.
pub(super) async fn objects(aws: &Aws, at: &S3Uri, page: &(dyn Fn(Page) + Send + Sync)) -> Result<(), Failure> {
    let mut all = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..PAGES {
        let call =
            aws.s3.list_objects_v2().bucket(&at.bucket).prefix(&at.key).delimiter("/").set_continuation_token(token.clone());
        let asked = call.encoding_type(EncodingType::Url).send();
        // Beside the first page, so that it costs no time of its own.
        let (answer, partials) =
            if token.is_none() && at.is_bucket() { tokio::join!(asked, partials(aws, at)) } else { (asked.await, None) };
        let answer = answer.map_err(|error| fault::tell(&format!("listing {at}"), &error))?;
        let folders = answer.common_prefixes().iter().filter_map(|folder| folder.prefix()).map(from_url);
        let mut items: Vec<Item> = partials.into_iter().collect();
        items.extend(folders.map(|key| row(&S3Uri::new(&at.bucket, key), Cell::Absent, Cell::Absent, "folder")));
        items.extend(answer.contents().iter().filter_map(|object| object_row(at, object)));
        let next = answer.next_continuation_token.filter(|next| Some(next) != token.as_ref());
        if next.is_none() {
            all.extend(items);
            page(Page { items: all, whole: true, more: false });
            return Ok(());
        }
        all.extend(items.iter().cloned());
        page(Page { items, whole: false, more: true });
        token = next;
    }
    Ok(())
}

/// The row that stands for the bucket's incomplete uploads, when there are any. Whoever may not list them has no such row.
async fn partials(aws: &Aws, at: &S3Uri) -> Option<Item> {
    let found = partial::find(aws, &Partial::all(&at.bucket)).await.ok().filter(|found| !found.is_empty())?;
    let name = if found.len() == 1 { "1 incomplete upload".to_owned() } else { format!("{} incomplete uploads", found.len()) };
    let oldest = found.iter().filter_map(|upload| upload.initiated).min().map_or(Cell::Absent, Cell::Time);
    let cells = vec![Cell::Text(Safe::line(&name)), Cell::Absent, oldest, Cell::Text("incomplete".into())];
    let id = ItemId(Partial::all(&at.bucket).to_string());
    Some(Item { id, state: state("incomplete"), cells, container: true, per_hour: None })
}

/// The bucket's incomplete uploads, each with the size of what has arrived.
pub(super) async fn partial(aws: &Aws, of: &Partial, page: &(dyn Fn(Page) + Send + Sync)) -> Result<(), Failure> {
    let account = aws.identity().await?.account;
    let mut items = Vec::new();
    for (number, upload) in partial::find(aws, of).await?.iter().enumerate() {
        // A call for each: beyond these, the detail says it.
        let size = if number < MEASURED { incomplete::parts(&aws.s3, &account, upload).await.ok() } else { None };
        let size = size.map_or(Cell::Absent, |parts| Cell::Bytes(parts.values().map(|part| part.size).sum()));
        let begun = upload.initiated.map_or(Cell::Absent, Cell::Time);
        let cells = vec![Cell::Text(Safe::line(&upload.at.key)), size, begun, Cell::Text("incomplete".into())];
        let id = ItemId(Partial::of(upload).to_string());
        items.push(Item { id, state: state("incomplete"), cells, container: false, per_hour: None });
    }
    page(Page { items, whole: true, more: false });
    Ok(())
}

/// A row; none for the folder's own marker, which is not inside it.
fn object_row(at: &S3Uri, object: &Object) -> Option<Item> {
    let key = from_url(object.key().unwrap_or_default());
    if key == at.key {
        return None;
    }
    let size = object.size().and_then(|size| u64::try_from(size).ok()).map_or(Cell::Absent, Cell::Bytes);
    let modified = object.last_modified().map_or(Cell::Absent, |at| Cell::Time(time::ours(at)));
    let class = object.storage_class().map_or("STANDARD", |class| class.as_str());
    Some(row(&S3Uri::new(&at.bucket, key), size, modified, class))
}
