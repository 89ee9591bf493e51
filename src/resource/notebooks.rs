//! SageMaker's notebooks: notebook instances, and Studio's domains, user profiles, spaces and apps, in one list. What costs
//! money is at the top level here, not two layers deep; the names say what is inside what.

mod act;
mod detail;
mod list;
mod place;

use crate::aws::Aws;
use crate::model::{
    Align, Column, Detail, Failure, FailureKind, Form, ItemId, LogSource, Order, Outcome, Page, Phase, Poll, Preview, Progress,
    Recipe, Safe, Spec, Verb,
};
use crate::resource::{Job, Resource, no_form};
use place::Place;

/// The pane of notebooks. Ids are those of [`mod@place`].
pub(super) struct Notebooks;

static SPEC: Spec = Spec {
    id: "notebooks",
    title: "Notebooks",
    singular: "notebook",
    within: None,
    burns: true,
    columns: &[
        Column { title: "NAME", width: 24, align: Align::Left, rank: 0, grows: true },
        Column::of("KIND", 10, Align::Left, 1),
        Column::of("STATE", 14, Align::Left, 0),
        Column::of("TYPE", 15, Align::Left, 3),
        Column::of("TIME", 8, Align::Right, 4),
        Column::of("COST", 8, Align::Right, 2),
        Column::of("CREATED", 10, Align::Right, 5),
    ],
    sort: (0, false),
    verbs: &[Verb::Start, Verb::Stop, Verb::Open, Verb::Delete],
    poll: Poll { live: 15, still: 60 },
    empty: "No notebook instances and no Studio domains here. They are made in the AWS console; what runs costs money by the hour.",
    iam: &[
        "sagemaker:ListNotebookInstances",
        "sagemaker:DescribeNotebookInstance",
        "sagemaker:StartNotebookInstance",
        "sagemaker:StopNotebookInstance",
        "sagemaker:DeleteNotebookInstance",
        "sagemaker:CreatePresignedNotebookInstanceUrl",
        "sagemaker:ListDomains",
        "sagemaker:DescribeDomain",
        "sagemaker:ListUserProfiles",
        "sagemaker:DescribeUserProfile",
        "sagemaker:ListSpaces",
        "sagemaker:DescribeSpace",
        "sagemaker:DeleteSpace",
        "sagemaker:ListApps",
        "sagemaker:DescribeApp",
        "sagemaker:DeleteApp",
        "sagemaker:CreatePresignedDomainUrl",
    ],
    check: |_| Vec::new(),
    warns: |verb| match verb {
        Verb::Start => Safe::line("From when it is in service it costs money by the hour, used or not, until it is stopped."),
        Verb::Stop => Safe::text(
            "A notebook instance keeps its volume; what runs in it ends.\nA Studio app has no stop: it is deleted (DeleteApp). Files in its space or home folder stay, what is in memory is lost.",
        ),
        Verb::Delete => Safe::text(
            "A notebook instance goes with its volume and all files on it, a space with its storage: neither comes back.\nAn app is only ended; its files stay.",
        ),
        _ => Safe::default(),
    },
};

impl Resource for Notebooks {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn list<'a>(&'a self, aws: &'a Aws, _: Option<&'a ItemId>, page: &'a (dyn Fn(Page) + Send + Sync)) -> Job<'a, ()> {
        Box::pin(list::list(aws, page))
    }

    fn detail<'a>(&'a self, aws: &'a Aws, id: &'a ItemId) -> Job<'a, Detail> {
        Box::pin(detail::detail(aws, id))
    }

    fn form<'a>(&'a self, _: &'a Aws, _: &'a Recipe, verb: Verb, _: Option<&'a ItemId>) -> Job<'a, Form> {
        Box::pin(async move { Err(no_form(verb)) })
    }

    fn preview<'a>(&'a self, _: &'a Aws, _: &'a Recipe, _: &'a Form) -> Job<'a, Preview> {
        Box::pin(async { Ok(Preview::default()) })
    }

    fn run<'a>(
        &'a self,
        aws: &'a Aws,
        _: &'a Recipe,
        order: &'a Order,
        _: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> Job<'a, Outcome> {
        Box::pin(act::act(aws, order))
    }

    fn log(&self, _: &ItemId) -> Option<LogSource> {
        None
    }
}

fn place(id: &ItemId) -> Result<Place, Failure> {
    Place::parse(id).ok_or_else(|| {
        let hint = "Names are as the list prints them: notebook/NAME, domain/ID, profile/ID/NAME, space/ID/NAME, app/ID/…";
        invalid(format!("'{}' is no notebook", id.as_str()), hint)
    })
}

fn invalid(what: impl AsRef<str>, hint: &str) -> Failure {
    Failure::new(FailureKind::Invalid, what, hint)
}

/// How alive something is by its status. Domains, profiles and spaces run nothing themselves: in service, they are still.
fn phase(status: &str, runs: bool) -> Phase {
    match status {
        "InService" if runs => Phase::Active,
        "InService" => Phase::Still,
        "Pending" | "Updating" => Phase::Waiting,
        "Stopping" | "Deleting" => Phase::Leaving,
        "Stopped" | "Deleted" => Phase::Stopped,
        "Failed" | "Delete_Failed" | "Update_Failed" => Phase::Failed,
        _ => Phase::Unknown,
    }
}

#[cfg(test)]
mod tests;
