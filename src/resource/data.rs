//! S3: buckets, folders and objects; upload, download, delete.

use std::path::PathBuf;

use aws_sdk_s3::types::{Delete, Object, ObjectIdentifier};

use crate::aws::s3_uri::S3Uri;
use crate::aws::{Aws, bucket, download, fault, script_mode, time, upload};
use crate::model::{
    Align, Block, Cell, Column, Detail, Failure, FailureKind, Field, FieldKind, Form, Item, ItemId, LogSource, Order, Outcome,
    Page, Phase, Poll, Preview, Problem, Progress, Recipe, Safe, Spec, State, Verb, show,
};
use crate::resource::{Job, Resource};

/// The pane of buckets and objects. Ids are `s3://bucket/`, `s3://bucket/folder/` and `s3://bucket/key`.
pub(super) struct Data;

/// Pages of a thousand that one listing reads; what lies beyond is reached by opening a folder or filtering.
const PAGES: usize = 20;

static SPEC: Spec = Spec {
    id: "data",
    title: "Data",
    singular: "object",
    within: None,
    burns: false,
    columns: &[
        Column { title: "NAME", width: 24, align: Align::Left, rank: 0, grows: true },
        Column { title: "SIZE", width: 9, align: Align::Right, rank: 1, grows: false },
        Column { title: "MODIFIED", width: 12, align: Align::Right, rank: 2, grows: false },
        Column { title: "CLASS", width: 12, align: Align::Left, rank: 3, grows: false },
    ],
    sort: (0, false),
    verbs: &[Verb::Upload, Verb::Download, Verb::Delete],
    poll: Poll { live: 30, still: 60 },
    empty: "Nothing in S3 here. Training reads its data from here: upload a folder or a .zip.",
    iam: &[
        "s3:ListAllMyBuckets",
        "s3:ListBucket",
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:CreateBucket",
        "s3:AbortMultipartUpload",
    ],
    check,
    warns: |verb| match verb {
        Verb::Delete => Safe::line(
            "Deleted objects cannot be brought back unless the bucket keeps versions; a folder goes with all that is in it.",
        ),
        _ => Safe::default(),
    },
};

impl Resource for Data {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn list<'a>(&'a self, aws: &'a Aws, scope: Option<&'a ItemId>, page: &'a (dyn Fn(Page) + Send + Sync)) -> Job<'a, ()> {
        Box::pin(async move {
            match scope {
                None => list_buckets(aws, page).await,
                Some(id) => list_objects(aws, &address(id)?, page).await,
            }
        })
    }

    fn detail<'a>(&'a self, aws: &'a Aws, id: &'a ItemId) -> Job<'a, Detail> {
        Box::pin(async move {
            let at = address(id)?;
            let blocks = if at.is_folder() { folder(aws, &at).await? } else { object(aws, &at).await? };
            Ok(Detail {
                id: id.clone(),
                state: state(if at.is_folder() { "folder" } else { "object" }),
                blocks,
                metrics: Vec::new(),
                log: false,
            })
        })
    }

    fn form<'a>(&'a self, aws: &'a Aws, recipe: &'a Recipe, verb: Verb, target: Option<&'a ItemId>) -> Job<'a, Form> {
        Box::pin(async move {
            match (verb, target) {
                (Verb::Upload, target) => upload_form(aws, recipe, target).await,
                (Verb::Download, Some(target)) => Ok(download_form(target)),
                _ => Err(invalid(&format!("'{}' has no form here", verb.name()))),
            }
        })
    }

    fn preview<'a>(&'a self, aws: &'a Aws, recipe: &'a Recipe, form: &'a Form) -> Job<'a, Preview> {
        Box::pin(async move {
            let mut preview = Preview { problems: check(form), ..Preview::default() };
            if preview.problems.is_empty()
                && let Err(failure) = look(aws, recipe, form, &mut preview).await
            {
                let field = if form.verb == Verb::Upload { "source" } else { "" };
                preview.problems.push(Problem {
                    field: field.to_owned(),
                    message: Safe::line(&failure.to_string()),
                    fatal: true,
                });
            }
            Ok(preview)
        })
    }

    fn run<'a>(
        &'a self,
        aws: &'a Aws,
        recipe: &'a Recipe,
        order: &'a Order,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> Job<'a, Outcome> {
        Box::pin(async move {
            match (order.verb, &order.form) {
                (Verb::Upload, Some(form)) => {
                    let target = target_of(form)?;
                    let plan = upload::plan(&recipe.root.join(form.value("source")))?;
                    let done = upload::upload(aws, &plan, &target, progress).await?;
                    let said = format!("uploaded {} files to {target}; {} were there already", done.sent, done.unchanged);
                    Ok(Outcome::Made { id: ItemId(target.to_string()), said: Safe::line(&said) })
                }
                (Verb::Download, Some(form)) => {
                    let folder = recipe.root.join(form.value("folder"));
                    let mut count = 0;
                    for target in &order.targets {
                        count += download::download(aws, &address(target)?, &folder, progress).await?;
                    }
                    Ok(Outcome::Said(Safe::line(&format!("downloaded {count} files to {}", folder.display()))))
                }
                (Verb::Delete, _) => delete(aws, &order.targets, progress).await,
                _ => Err(invalid(&format!("'{}' cannot be done here", order.verb.name()))),
            }
        })
    }

    fn log(&self, _: &ItemId) -> Option<LogSource> {
        None
    }
}

fn address(id: &ItemId) -> Result<S3Uri, Failure> {
    S3Uri::parse(id.as_str())
        .ok_or_else(|| invalid(&format!("'{}' is no S3 address; it looks like s3://bucket/folder/", id.as_str())))
}

fn target_of(form: &Form) -> Result<S3Uri, Failure> {
    address(&ItemId(form.value("target").to_owned()))
}

fn invalid(what: &str) -> Failure {
    Failure::new(FailureKind::Invalid, what, "")
}

fn state(word: &str) -> State {
    State { phase: Phase::Still, word: word.into() }
}

fn row(at: &S3Uri, size: Cell, modified: Cell, class: &str) -> Item {
    let container = at.is_folder();
    let name = if container && !at.is_bucket() { format!("{}/", at.name()) } else { at.name().to_owned() };
    let cells = vec![Cell::Text(Safe::line(&name)), size, modified, Cell::Text(Safe::line(class))];
    Item { id: ItemId(at.to_string()), state: state(class), cells, container, per_hour: None }
}

async fn list_buckets(aws: &Aws, page: &(dyn Fn(Page) + Send + Sync)) -> Result<(), Failure> {
    let answer = aws.s3.list_buckets().send().await.map_err(|error| fault::tell("listing buckets", &error))?;
    let made = |at: Option<&aws_sdk_s3::primitives::DateTime>| at.map_or(Cell::Absent, |at| Cell::Time(time::ours(at)));
    let items = answer.buckets().iter().map(|bucket| {
        row(&S3Uri::new(bucket.name().unwrap_or_default(), ""), Cell::Absent, made(bucket.creation_date()), "bucket")
    });
    page(Page { items: items.collect(), whole: true, more: false });
    Ok(())
}

async fn list_objects(aws: &Aws, at: &S3Uri, page: &(dyn Fn(Page) + Send + Sync)) -> Result<(), Failure> {
    let mut all = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..PAGES {
        let call =
            aws.s3.list_objects_v2().bucket(&at.bucket).prefix(&at.key).delimiter("/").set_continuation_token(token.clone());
        let answer = call.send().await.map_err(|error| fault::tell(&format!("listing {at}"), &error))?;
        let folders = answer.common_prefixes().iter().filter_map(|folder| folder.prefix());
        let mut items: Vec<Item> =
            folders.map(|key| row(&S3Uri::new(&at.bucket, key), Cell::Absent, Cell::Absent, "folder")).collect();
        // The folder's own marker is not inside it.
        items
            .extend(answer.contents().iter().filter(|object| object.key() != Some(&at.key)).map(|object| object_row(at, object)));
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

fn object_row(at: &S3Uri, object: &Object) -> Item {
    let size = object.size().and_then(|size| u64::try_from(size).ok()).map_or(Cell::Absent, Cell::Bytes);
    let modified = object.last_modified().map_or(Cell::Absent, |at| Cell::Time(time::ours(at)));
    let class = object.storage_class().map_or("STANDARD", |class| class.as_str());
    row(&S3Uri::new(&at.bucket, object.key().unwrap_or_default()), size, modified, class)
}

async fn folder(aws: &Aws, at: &S3Uri) -> Result<Vec<Block>, Failure> {
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

async fn object(aws: &Aws, at: &S3Uri) -> Result<Vec<Block>, Failure> {
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
        let call = aws.s3.get_object().bucket(&at.bucket).key(&at.key).range("bytes=0-1023");
        let start = call.send().await.map_err(|error| fault::tell(&doing, &error))?;
        let start = start
            .body
            .collect()
            .await
            .map_err(|error| Failure::new(FailureKind::Network, format!("{doing}: {error}"), ""))?
            .into_bytes();
        blocks.extend(readable(&start).map(|text| Block::Text { title: "begins with".into(), text: Safe::text(text) }));
    }
    Ok(blocks)
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

fn field(name: &'static str, label: &'static str, help: &'static str, value: String) -> Field {
    Field { name: name.into(), label: label.into(), help: help.into(), kind: FieldKind::Line, initial: value.clone(), value }
}

async fn upload_form(aws: &Aws, recipe: &Recipe, target: Option<&ItemId>) -> Result<Form, Failure> {
    let channel = recipe.channels.iter().find(|channel| !channel.source.starts_with("s3://"));
    let target = match target {
        Some(id) if id.as_str().ends_with('/') => id.as_str().to_owned(),
        _ => {
            let bucket = match &recipe.bucket {
                Some(bucket) => bucket.clone(),
                None => bucket::default_name(aws).await?,
            };
            let name = channel.map_or("data/", |channel| channel.name.as_str());
            // Where a launch looks for the same channel, so that nothing is sent twice.
            let base = script_mode::names::legal(&recipe.name);
            if channel.is_some() && !base.is_empty() {
                format!("s3://{bucket}/{base}/data/{name}/")
            } else {
                format!("s3://{bucket}/data/")
            }
        }
    };
    let source = channel.map(|channel| channel.source.clone()).unwrap_or_default();
    let fields = vec![
        field("source", "from", "A folder, a .zip (unpacked on the way) or a file; relative to the project.", source),
        field("target", "to", "s3://bucket/folder/; the bucket is made if it is missing.", target),
    ];
    Ok(Form { title: "upload data".into(), resource: SPEC.id.to_owned(), verb: Verb::Upload, parent: None, fields })
}

fn download_form(target: &ItemId) -> Form {
    let fields = vec![field(
        "folder",
        "to folder",
        "A folder on this machine, relative to the project; files of the same name are replaced.",
        "downloads".to_owned(),
    )];
    let title = Safe::line(&format!("download {}", target.as_str()));
    Form { title, resource: SPEC.id.to_owned(), verb: Verb::Download, parent: Some(target.clone()), fields }
}

fn check(form: &Form) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut needs = |field: &str, sound: bool, message: &str| {
        if !sound {
            problems.push(Problem { field: field.to_owned(), message: message.into(), fatal: true });
        }
    };
    match form.verb {
        Verb::Upload => {
            needs("source", !form.value("source").trim().is_empty(), "a folder, a .zip or a file is needed");
            needs("target", S3Uri::parse(form.value("target")).is_some(), "no S3 address; it looks like s3://bucket/folder/");
        }
        _ => needs("folder", !form.value("folder").trim().is_empty(), "a folder is needed; '.' is the project's own"),
    }
    problems
}

async fn look(aws: &Aws, recipe: &Recipe, form: &Form, preview: &mut Preview) -> Result<(), Failure> {
    if form.verb == Verb::Download {
        let from = form.parent.as_ref().map(address).transpose()?;
        let objects = match &from {
            Some(from) => bucket::objects(aws, from).await?,
            None => Vec::new(),
        };
        preview.facts.push(("objects".into(), Safe::line(&show::grouped(objects.len() as u64))));
        preview.facts.push(("size".into(), Safe::line(&show::size(objects.iter().map(|object| object.size).sum()))));
        preview.facts.push(("to".into(), Safe::line(&recipe.root.join(form.value("folder")).display().to_string())));
        return Ok(());
    }
    let target = target_of(form)?;
    let plan = upload::plan(&PathBuf::from(&recipe.root).join(form.value("source")))?;
    if plan.files.is_empty() {
        return Err(invalid("there are no files in it"));
    }
    let there = bucket::exists(aws, &target.bucket).await?;
    preview.facts.push(("files".into(), Safe::line(&show::grouped(plan.files.len() as u64))));
    preview.facts.push(("size".into(), Safe::line(&show::size(plan.bytes))));
    preview.facts.push(("bucket".into(), if there { "exists, and is yours".into() } else { "will be made".into() }));
    preview.problems.extend(plan.notices.iter().map(|notice| Problem {
        field: "source".to_owned(),
        message: notice.clone(),
        fatal: false,
    }));
    preview.request = Safe::line(&format!("PutObject {target}… for {} files", plan.files.len()));
    Ok(())
}

async fn delete(aws: &Aws, targets: &[ItemId], progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<Outcome, Failure> {
    let account = aws.identity().await?.account;
    let mut count = 0;
    for target in targets {
        let at = address(target)?;
        if at.is_bucket() {
            return Err(Failure::new(
                FailureKind::Refused,
                format!("{at} is a bucket; footplate deletes objects and folders only"),
                "delete the bucket in the AWS console",
            ));
        }
        let keys = if at.is_folder() {
            bucket::objects(aws, &at).await?.into_iter().map(|object| object.key).collect()
        } else {
            vec![at.key.clone()]
        };
        let total = keys.len() as u64;
        for (number, batch) in keys.chunks(1000).enumerate() {
            let doing = format!("deleting {at}");
            let ids: Result<Vec<_>, _> = batch.iter().map(|key| ObjectIdentifier::builder().key(key).build()).collect();
            let what = ids
                .and_then(|ids| Delete::builder().set_objects(Some(ids)).quiet(true).build())
                .map_err(|error| invalid(&format!("{doing}: {error}")))?;
            let call = aws.s3.delete_objects().bucket(&at.bucket).expected_bucket_owner(&account).delete(what);
            let answer = call.send().await.map_err(|error| fault::tell(&doing, &error))?;
            if let Some(error) = answer.errors().first() {
                return Err(Failure::new(
                    FailureKind::Denied,
                    format!("{doing}: {}: {}", error.key().unwrap_or_default(), error.message().unwrap_or_default()),
                    "",
                ));
            }
            count += batch.len() as u64;
            progress(Progress { said: "objects deleted".into(), done: number as u64 * 1000 + batch.len() as u64, total });
        }
    }
    Ok(Outcome::Said(Safe::line(&format!("deleted {count} objects"))))
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
