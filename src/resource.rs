//! The registry: every kind of thing footplate knows, one file each. Keys, help, palette, tables, forms, polling, the
//! command line and the IAM policy follow from it.

mod data;
pub(crate) mod endpoints;
pub(crate) mod instances;
mod line;
mod lint;
mod notebooks;
mod runs;
mod staging;
mod training_jobs;
mod trials;
mod tuning_jobs;
mod turns;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::aws::{Aws, tail};
use crate::model::{
    Detail, Failure, FailureKind, Form, ItemId, LogBatch, LogSource, MetricRule, Order, Outcome, Page, Preview, Progress, Recipe,
    Safe, Spec, Verb,
};
use crate::ssh;
pub use runs::activation;

/// A future that borrows what it needs; the trait is used through `dyn`.
pub type Job<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// A log being read; see [`Resource::follow`].
pub type Follower = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a terminal on a thing takes.
pub struct Door {
    pub login: ssh::Login,
    pub doorman: Arc<dyn ssh::Doorman>,
    /// What the terminal is called: the thing's name and id.
    pub title: Safe,
}

/// Asks the user whether a host key that nothing vouches for is to be trusted.
pub type Ask = Arc<dyn Fn(ssh::Offered) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// One kind of thing in AWS: what there is to know about it, and four things to do. Implementations hold no state; what
/// must be remembered between calls (pages read so far, described jobs) lives in [`Aws`].
pub trait Resource: Sync {
    fn spec(&self) -> &'static Spec;

    /// Lists what is in `scope` (`None`: the top), handing over each page as it arrives.
    fn list<'a>(&'a self, aws: &'a Aws, scope: Option<&'a ItemId>, page: &'a (dyn Fn(Page) + Send + Sync)) -> Job<'a, ()>;

    /// Everything about one thing.
    fn detail<'a>(&'a self, aws: &'a Aws, id: &'a ItemId) -> Job<'a, Detail>;

    /// The form of a verb, filled from the project and, for a clone, from its parent.
    fn form<'a>(&'a self, aws: &'a Aws, recipe: &'a Recipe, verb: Verb, target: Option<&'a ItemId>) -> Job<'a, Form>;

    /// What would happen if the form were sent now: looks at files, prices and the account, changes nothing.
    fn preview<'a>(&'a self, aws: &'a Aws, recipe: &'a Recipe, form: &'a Form) -> Job<'a, Preview>;

    /// Does it.
    fn run<'a>(
        &'a self,
        aws: &'a Aws,
        recipe: &'a Recipe,
        order: &'a Order,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> Job<'a, Outcome>;

    /// What ends with the thing when it is stopped, rebooted or deleted, a line each: said when that is asked for. Takes
    /// seconds at most.
    fn at_stake<'a>(&'a self, aws: &'a Aws, id: &'a ItemId) -> Job<'a, Vec<Safe>> {
        let _ = (aws, id);
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Where the thing's log is in CloudWatch: log group and stream prefix. `None` when it has none there.
    fn log(&self, id: &ItemId) -> Option<LogSource>;

    /// Reads the thing's log from its beginning, and on until `ended` has turned true and all is drained, or the receiver
    /// is gone; applies `rules` to every line. `None` when it has no log.
    fn follow(
        &self,
        aws: Arc<Aws>,
        id: &ItemId,
        rules: Vec<MetricRule>,
        ended: watch::Receiver<bool>,
        out: mpsc::Sender<LogBatch>,
    ) -> Option<Follower> {
        let source = self.log(id)?;
        Some(Box::pin(tail::follow(aws, source, rules, ended, out)))
    }

    /// The way to a terminal on the thing. Asks `ask` when nothing vouches for its host key.
    ///
    /// # Errors
    /// `Invalid` for what has no terminal; else why there is no way.
    fn door(&self, aws: Arc<Aws>, id: ItemId, ask: Ask) -> Job<'static, Door> {
        drop((aws, id, ask));
        let singular = self.spec().singular;
        Box::pin(async move { Err(instances::no_terminal(singular)) })
    }
}

/// That a verb has no form in a pane.
fn no_form(verb: Verb) -> Failure {
    Failure::new(FailureKind::Invalid, format!("'{}' has no form here", verb.name()), "")
}

/// That a verb is not among those of a pane.
fn cannot(verb: Verb) -> Failure {
    Failure::new(FailureKind::Invalid, format!("'{}' cannot be done here", verb.name()), "")
}

/// All resources, in the order of the tabs; inner lists stand behind the one they are the inside of.
pub static ALL: &[&dyn Resource] = &[
    &training_jobs::TrainingJobs,
    &tuning_jobs::TuningJobs,
    &trials::Trials,
    &endpoints::Endpoints,
    &instances::Instances,
    &runs::Runs,
    &data::Data,
    &notebooks::Notebooks,
];

/// The resource of that id.
#[must_use]
pub fn find(id: &str) -> Option<&'static dyn Resource> {
    ALL.iter().copied().find(|resource| resource.spec().id == id)
}
