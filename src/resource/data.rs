//! S3: buckets, folders and objects; upload, download, delete.

mod delete;
mod detail;
mod form;
mod list;
mod partial;
mod picture;

use crate::aws::s3_uri::S3Uri;
use crate::aws::{Aws, download, upload};
use crate::model::{
    Align, Column, Detail, Failure, FailureKind, Form, ItemId, LogSource, Order, Outcome, Page, Phase, Poll, Preview, Progress,
    Recipe, Safe, Spec, State, Verb, show,
};
use crate::resource::{Job, Resource, cannot, no_form};
use partial::Partial;

/// The pane of buckets and objects. Ids are `s3://bucket/`, `s3://bucket/folder/` and `s3://bucket/key`; and those of uploads
/// that were never completed, see [`partial`].
pub(super) struct Data;

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
        "s3:ListBucketMultipartUploads",
        "s3:ListMultipartUploadParts",
    ],
    check: form::check,
    warns: |verb| match verb {
        Verb::Delete => Safe::line(
            "Deleted objects cannot be brought back unless the bucket keeps versions; a folder goes with all that is in it. An incomplete upload is given up: what has arrived of it is gone.",
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
                None => list::buckets(aws, page).await,
                Some(id) => match Partial::parse(id) {
                    Some(partial) => list::partial(aws, &partial, page).await,
                    None => list::objects(aws, &address(id)?, page).await,
                },
            }
        })
    }

    fn detail<'a>(&'a self, aws: &'a Aws, id: &'a ItemId) -> Job<'a, Detail> {
        Box::pin(async move {
            let (word, blocks) = if let Some(partial) = Partial::parse(id) {
                ("incomplete", detail::partial(aws, &partial).await?)
            } else {
                let at = address(id)?;
                if at.is_folder() {
                    ("folder", detail::folder(aws, &at).await?)
                } else {
                    ("object", detail::object(aws, &at).await?)
                }
            };
            Ok(Detail { id: id.clone(), state: state(word), blocks, metrics: Vec::new(), log: false })
        })
    }

    fn form<'a>(&'a self, aws: &'a Aws, recipe: &'a Recipe, verb: Verb, target: Option<&'a ItemId>) -> Job<'a, Form> {
        Box::pin(async move {
            match (verb, target) {
                (Verb::Upload, target) => form::upload(aws, recipe, target).await,
                (Verb::Download, Some(target)) => Ok(form::download(&address(target)?)),
                _ => Err(no_form(verb)),
            }
        })
    }

    fn preview<'a>(&'a self, aws: &'a Aws, recipe: &'a Recipe, form: &'a Form) -> Job<'a, Preview> {
        Box::pin(async move { Ok(form::preview(aws, recipe, form).await) })
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
                    let target = form::target_of(form)?;
                    let plan = upload::plan(&recipe.root.join(form.value("source")))?;
                    let done = upload::upload(aws, &plan, &target, progress).await?;
                    let mut said = format!(
                        "uploaded {} files to {target}; {} were there already",
                        show::grouped(done.sent),
                        show::grouped(done.unchanged)
                    );
                    if done.continued > 0 {
                        said.extend(["; ", &show::grouped(done.continued), " continued where they had broken off"]);
                    }
                    Ok(Outcome::Made { id: ItemId(target.to_string()), said: Safe::line(&said) })
                }
                (Verb::Download, Some(form)) => {
                    let folder = recipe.root.join(form.value("folder"));
                    let (mut got, mut there) = (0, 0);
                    for target in &order.targets {
                        let done = download::download(aws, &address(target)?, &folder, progress).await?;
                        got += done.sent;
                        there += done.unchanged;
                    }
                    let said = format!("downloaded {got} files to {}; {there} were there already", folder.display());
                    Ok(Outcome::Said(Safe::line(&said)))
                }
                (Verb::Delete, _) => delete::delete(aws, &order.targets, progress).await,
                _ => Err(cannot(order.verb)),
            }
        })
    }

    fn log(&self, _: &ItemId) -> Option<LogSource> {
        None
    }
}

fn address(id: &ItemId) -> Result<S3Uri, Failure> {
    if Partial::parse(id).is_some() {
        return Err(invalid(
            "an incomplete upload is no object: it can be continued, by uploading the same file again, or deleted",
        ));
    }
    S3Uri::parse(id.as_str())
        .ok_or_else(|| invalid(&format!("'{}' is no S3 address; it looks like s3://bucket/folder/", id.as_str())))
}

fn invalid(what: &str) -> Failure {
    Failure::new(FailureKind::Invalid, what, "")
}

fn state(word: &str) -> State {
    State { phase: Phase::Still, word: word.into() }
}
