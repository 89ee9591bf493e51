//! Taking down: endpoint, then configuration, then models, each step tolerant of "already gone".
//!
//! What belongs to an endpoint is worked out before the first step and noted on the things themselves (the tag
//! [`hosting::ENDPOINT`]), so that the same call, repeated after a crash, finds what the endpoint can tell no more.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_sagemaker::types::Tag;

use super::calls::Calls;
use super::draft::stem;
use super::{trace, wait};
use crate::aws::hosting::{self, Used};
use crate::aws::s3_uri::S3Uri;
use crate::aws::{Aws, fault, orphans};
use crate::model::{Failure, FailureKind, Field, FieldKind, Form, ItemId, Order, Outcome, Progress, Safe, Verb};
use crate::resource::staging::invalid;

/// The field of the order that takes leftovers away: a line each.
const LEFTOVERS: &str = "leftovers";

/// What goes with an endpoint. Maps are from name to ARN.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub name: String,
    /// Absent when the endpoint itself is gone already.
    pub arn: Option<String>,
    pub configs: BTreeMap<String, String>,
    pub models: BTreeMap<String, String>,
}

impl Plan {
    /// Works out what belongs to that endpoint, whether it is there or not.
    ///
    /// # Errors
    /// `NotFound` when there is neither an endpoint of that name nor anything left of one.
    pub async fn of(aws: &Aws, name: &str) -> Result<Self, Failure> {
        let mut plan = Self { name: name.to_owned(), ..Self::default() };
        let there = hosting::endpoint(aws, name).await;
        let mut models = Vec::new();
        if let Some(endpoint) = hosting::missing(there.clone())? {
            plan.arn = endpoint.endpoint_arn.clone();
            let config_name = endpoint.endpoint_config_name().unwrap_or_default();
            if let Some(config) = hosting::missing(hosting::config(aws, config_name).await)? {
                models = hosting::models_in(&config);
                plan.configs.insert(config_name.to_owned(), config.endpoint_config_arn.unwrap_or_default());
            } else {
                // It was deleted under the endpoint; we have noted the model on the endpoint itself.
                let tags = hosting::tags(aws, endpoint.endpoint_arn().unwrap_or_default()).await?;
                models.extend(hosting::tag(&tags, hosting::MODEL).map(str::to_owned));
            }
        }
        for model in models {
            if let Some(found) = hosting::missing(hosting::model(aws, &model).await)? {
                plan.models.insert(model, found.model_arn.unwrap_or_default());
            }
        }
        plan.add_noted(aws).await?;
        match there {
            Err(failure) if plan.configs.is_empty() && plan.models.is_empty() => Err(failure),
            _ => Ok(plan),
        }
    }

    /// Adds what carries the endpoint's name as a tag: configurations and models of earlier updates, or of a deletion that
    /// was interrupted.
    async fn add_noted(&mut self, aws: &Aws) -> Result<(), Failure> {
        let ours = |key: &str, value: &str| key == hosting::ENDPOINT && value == self.name;
        let stem = stem(&self.name);
        let all = hosting::configs(aws, Some(stem)).await?;
        let pairs: BTreeMap<String, String> =
            all.into_iter().filter_map(|one| Some((one.endpoint_config_name?, one.endpoint_config_arn?))).collect();
        let configs = hosting::tagged(aws, pairs.clone(), ours).await?;
        let configs: Vec<_> =
            configs.into_iter().filter_map(|(name, _)| Some((name.clone(), pairs.get(&name)?.clone()))).collect();
        let all = hosting::models(aws, Some(stem)).await?;
        let pairs: BTreeMap<String, String> = all.into_iter().filter_map(|one| Some((one.model_name?, one.model_arn?))).collect();
        let models = hosting::tagged(aws, pairs.clone(), ours).await?;
        let models: Vec<_> = models.into_iter().filter_map(|(name, _)| Some((name.clone(), pairs.get(&name)?.clone()))).collect();
        self.configs.extend(configs);
        self.models.extend(models);
        Ok(())
    }

    /// Leaves out what other endpoints use, and says so.
    fn spare(&mut self, used: &[Used]) -> Vec<String> {
        let mut kept = Vec::new();
        self.configs.retain(|config, _| {
            let user = used.iter().find(|used| used.config == *config);
            kept.extend(user.map(|user| format!("configuration {config}, which {} has, too", user.endpoint)));
            user.is_none()
        });
        self.models.retain(|model, _| {
            let user = used.iter().find(|used| used.models.contains(model));
            kept.extend(user.map(|user| format!("model {model}, which {} serves, too", user.endpoint)));
            user.is_none()
        });
        kept
    }

    /// Notes on configurations and models whose they are, where they do not say it yet.
    async fn note(&self, aws: &Aws) -> Result<(), Failure> {
        for arn in self.configs.values().chain(self.models.values()).filter(|arn| !arn.is_empty()) {
            let Some(tags) = hosting::missing(hosting::tags(aws, arn).await)? else { continue };
            if hosting::tag(&tags, hosting::ENDPOINT) == Some(self.name.as_str()) {
                continue;
            }
            let tag = Tag::builder().key(hosting::ENDPOINT).value(&self.name).build();
            let noted = aws.sagemaker.add_tags().resource_arn(arn).tags(tag).send().await;
            hosting::missing(noted.map_err(|error| fault::tell("noting what belongs together", &error)))?;
        }
        Ok(())
    }
}

/// Deletes endpoints with all that only they use; what is left in S3 and in the logs is asked about.
pub(super) async fn delete(
    aws: &Aws,
    targets: &[ItemId],
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Outcome, Failure> {
    let told = |said: &str| progress(Progress { said: Safe::line(said), done: 0, total: 0 });
    told("looking at what belongs together");
    let mut plans = Vec::new();
    for target in targets {
        plans.push(Plan::of(aws, target.as_str()).await?);
    }
    let names: Vec<&str> = targets.iter().map(ItemId::as_str).collect();
    let used = hosting::used(aws, &names).await?;
    let mut kept: Vec<String> = plans.iter_mut().flat_map(|plan| plan.spare(&used)).collect();
    kept.sort();
    kept.dedup();
    let mut left = Vec::new();
    for plan in &plans {
        plan.note(aws).await?;
        left.extend(leftovers(aws, plan, &used).await?);
    }
    for plan in plans.iter().filter(|plan| plan.arn.is_some()) {
        told(&format!("deleting {}", plan.name));
        end(aws, &plan.name, progress).await?;
    }
    for plan in &plans {
        if plan.arn.is_some() {
            gone(aws, &plan.name, progress).await?;
        }
        for config in plan.configs.keys() {
            told(&format!("deleting configuration {config}"));
            hosting::missing(orphans::delete_config(aws, config).await)?;
        }
        for model in plan.models.keys() {
            told(&format!("deleting model {model}"));
            hosting::missing(orphans::delete_model(aws, model).await)?;
        }
        Calls::forget(aws, &plan.name);
    }
    left.sort();
    left.dedup();
    let said = Safe::line(&said(&plans, &kept));
    if left.is_empty() {
        return Ok(Outcome::Said(said));
    }
    let lines = left.iter().map(|line| Safe::line(line)).collect();
    Ok(Outcome::Then { said, question: "Delete what is left of it, too?".into(), lines, order: Box::new(sweep_order(&left)) })
}

fn said(plans: &[Plan], kept: &[String]) -> String {
    // Two of them may have had one in common.
    let configs = plans.iter().flat_map(|plan| plan.configs.keys()).collect::<BTreeSet<_>>().len();
    let models = plans.iter().flat_map(|plan| plan.models.keys()).collect::<BTreeSet<_>>().len();
    let counted = |count: usize, word: &str| match count {
        0 => String::new(),
        1 => format!(", 1 {word}"),
        _ => format!(", {count} {word}s"),
    };
    let what = match plans {
        [plan] if plan.arn.is_some() => plan.name.clone(),
        [plan] => format!("what was left of {}", plan.name),
        _ => format!("{} endpoints", plans.len()),
    };
    let kept = if kept.is_empty() { String::new() } else { format!("; kept: {}", kept.join("; ")) };
    format!("deleted {what}{}{}{kept}", counted(configs, "configuration"), counted(models, "model"))
}

/// Asks for the end of an endpoint. One that is coming up or changing cannot be deleted: it is waited for.
async fn end(aws: &Aws, name: &str, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<(), Failure> {
    let asked = hosting::missing(orphans::delete_endpoint(aws, name).await);
    let Err(failure) = asked else { return Ok(()) };
    let state = hosting::missing(hosting::endpoint(aws, name).await)?.map(|endpoint| super::list::state_of(&endpoint));
    match state {
        None => Ok(()),
        Some(state) if matches!(state.word.as_str(), "Creating" | "Updating" | "RollingBack" | "SystemUpdating") => {
            if wait::settled(aws, name, progress).await?.is_none() {
                return Ok(());
            }
            hosting::missing(orphans::delete_endpoint(aws, name).await).map(drop)
        }
        Some(state) if state.word.as_str() == "Deleting" => Ok(()),
        Some(_) => Err(failure),
    }
}

/// Waits until it is gone: before that its configuration may still be read by the service.
async fn gone(aws: &Aws, name: &str, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<(), Failure> {
    match wait::settled(aws, name, progress).await? {
        None => Ok(()),
        Some(endpoint) => {
            let state = super::list::state_of(&endpoint);
            let reason = endpoint.failure_reason().unwrap_or("no reason was given");
            let what = format!("{name} could not be deleted; it is {}: {reason}", state.word);
            Err(Failure::new(FailureKind::Service, what, "try again; what belongs to it is still there"))
        }
    }
}

/// What stays in S3 and in the logs when these are gone.
async fn leftovers(aws: &Aws, plan: &Plan, used: &[Used]) -> Result<Vec<String>, Failure> {
    let mut left = archives(aws, plan.models.iter(), used).await?;
    let group = trace::group(&plan.name);
    let asked = aws.logs.describe_log_streams().log_group_name(&group).limit(1).send().await;
    if hosting::missing(asked.map_err(|error| fault::tell("looking for its log", &error)))?.is_some() {
        left.push(format!("{GROUP}{group}"));
    }
    Ok(left)
}

/// Archives that were repacked for these models and that no other endpoint's model uses.
pub(super) async fn archives<'a>(
    aws: &Aws,
    models: impl Iterator<Item = (&'a String, &'a String)>,
    used: &[Used],
) -> Result<Vec<String>, Failure> {
    let mut archives = Vec::new();
    for (model, arn) in models {
        let Some(tags) = hosting::missing(hosting::tags(aws, arn).await)? else { continue };
        let Some(found) = hosting::missing(hosting::model(aws, model).await)? else { continue };
        // The tag says that it is ours, the model where it is.
        if hosting::tag(&tags, hosting::REPACKED).is_some() {
            archives.extend(hosting::data_of(&found).map(str::to_owned));
        }
    }
    if archives.is_empty() {
        return Ok(archives);
    }
    for model in used.iter().flat_map(|used| &used.models) {
        let other = hosting::missing(hosting::model(aws, model).await)?;
        archives.retain(|archive| other.as_ref().and_then(hosting::data_of) != Some(archive.as_str()));
    }
    Ok(archives)
}

const GROUP: &str = "log group ";
const CONFIG: &str = "configuration ";
const MODEL: &str = "model ";

/// The order that takes leftovers away, a line each: `s3://…`, `log group …`, `configuration …`, `model …`.
pub(super) fn sweep_order(lines: &[String]) -> Order {
    let field = Field::of(LEFTOVERS, LEFTOVERS, FieldKind::Area, lines.join("\n"), "What is deleted, a line each.");
    let form = Form {
        title: "Delete what is left".into(),
        resource: super::SPEC.id.to_owned(),
        verb: Verb::Delete,
        parent: None,
        fields: vec![field],
    };
    Order { resource: super::SPEC.id.to_owned(), verb: Verb::Delete, targets: Vec::new(), form: Some(form) }
}

/// Carries such an order out. What is gone already is fine.
pub(super) async fn sweep(aws: &Aws, form: &Form) -> Result<Outcome, Failure> {
    let lines: Vec<&str> = form.value(LEFTOVERS).lines().filter(|line| !line.is_empty()).collect();
    for line in &lines {
        let done = if let Some(group) = line.strip_prefix(GROUP) {
            let sent = aws.logs.delete_log_group().log_group_name(group).send().await;
            sent.map(drop).map_err(|error| fault::tell(&format!("deleting {line}"), &error))
        } else if let Some(config) = line.strip_prefix(CONFIG) {
            orphans::delete_config(aws, config).await
        } else if let Some(model) = line.strip_prefix(MODEL) {
            orphans::delete_model(aws, model).await
        } else if let Some(at) = S3Uri::parse(line).filter(|at| !at.is_folder()) {
            orphans::delete_object(aws, &at).await
        } else {
            Err(invalid(&format!("'{line}' is nothing that can be left of an endpoint"), ""))
        };
        hosting::missing(done)?;
    }
    Ok(Outcome::Said(Safe::line(&format!("deleted {}", lines.join(", ")))))
}
