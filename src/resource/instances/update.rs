//! Changing what is there: its lease, its type while it is stopped, its protection.

use std::sync::Arc;

use aws_sdk_ec2::types::{AttributeBooleanValue, AttributeValue, Instance, Tag};
use jiff::{SignedDuration, Timestamp};

use super::check::check;
use super::door::InstanceDoor;
use super::{form, invalid, lease, list, look};
use crate::aws::{Aws, Mode, fault, machines, spending};
use crate::model::{Failure, Form, Outcome, Preview, Problem, Progress, Safe, length};
use crate::ssh::Connection;

/// What is to be changed.
struct Change {
    instance: Instance,
    /// Another type than it has.
    kind: Option<String>,
    /// A new end of its lease.
    end: Option<Timestamp>,
    /// Protection on or off, where it is the other way now.
    protection: Option<bool>,
}

impl Change {
    async fn of(aws: &Aws, form: &Form) -> Result<Self, Failure> {
        let target = form.parent.as_ref().ok_or_else(|| invalid("nothing is selected", "select an instance"))?;
        let instance = look::one(aws, target.as_str()).await?;
        let kind = Some(form.value("instance_type").trim()).filter(|kind| *kind != look::kind(&instance)).map(str::to_owned);
        if kind.is_some() && look::name_of_state(&instance) != "stopped" {
            return Err(invalid(
                &format!(
                    "instance_type: {} is {}; its type can be changed while it is stopped",
                    look::id(&instance),
                    look::state(&instance).word
                ),
                "stop it (x) first",
            ));
        }
        if let Some(kind) = &kind {
            let machine = machines::describe(aws, kind).await?;
            let own = instance.architecture().map_or("", |one| one.as_str());
            if !machine.architectures.iter().any(|one| one == own) {
                let what = format!("instance_type: {kind} is {}, and the instance is {own}", machine.architectures.join(", "));
                return Err(invalid(&what, "take a type of its architecture"));
            }
        }
        let end = length::seconds(form.value("lease"))
            .and_then(|seconds| Timestamp::now().checked_add(SignedDuration::from_secs(seconds)).ok());
        let wanted = form.value("protection") == "yes";
        let protection = (form::protection(aws, look::id(&instance)).await? != wanted).then_some(wanted);
        if protection == Some(true) && list::is_spot(&instance) {
            return Err(invalid("protection: a spot instance cannot be protected", "leave it off"));
        }
        Ok(Self { instance, kind, end, protection })
    }
}

/// Looks at everything, changes nothing.
pub(super) async fn preview(aws: &Aws, form: &Form) -> Preview {
    let checked = check(form);
    if checked.iter().any(|problem| problem.fatal) {
        return Preview { problems: checked, ..Preview::default() };
    }
    let mut preview = Preview::default();
    let change = match Change::of(aws, form).await {
        Ok(change) => change,
        Err(failure) => {
            let said = failure.what.as_str();
            let (field, rest) = said.split_once(": ").filter(|(field, _)| !field.contains(' ')).unwrap_or(("", said));
            let hint = if failure.hint.is_empty() { String::new() } else { format!("; {}", failure.hint) };
            preview.problems.push(Problem {
                field: field.to_owned(),
                message: Safe::line(&format!("{rest}{hint}")),
                fatal: true,
            });
            return preview;
        }
    };
    let mut fact = |name: &str, value: &str| preview.facts.push((name.into(), Safe::line(value)));
    fact("instance", look::id(&change.instance));
    fact("state", look::name_of_state(&change.instance));
    let mut calls = Vec::new();
    if let Some(kind) = &change.kind {
        fact("type", &format!("{} becomes {kind}", look::kind(&change.instance)));
        calls.push(format!("ModifyInstanceAttribute InstanceType={kind}"));
        if let Ok(machine) = machines::describe(aws, kind).await {
            fact("machine", &machine.said());
            let spent = spending::look_at_instance(aws, list::is_spot(&change.instance), &machine, 3600).await;
            preview.facts.extend(spent.facts.into_iter().filter(|(name, _)| matches!(name.as_str(), "price" | "quota")));
            (preview.per_hour, preview.quota, preview.more) = (spent.per_hour, spent.quota, spent.more);
            // It counts when it is started, which is asked for by itself.
            preview.problems.extend(spent.problems.into_iter().map(|problem| Problem { fatal: false, ..problem }));
        }
    }
    let mut fact = |name: &str, value: &str| preview.facts.push((name.into(), Safe::line(value)));
    match (change.end, look::lease_end(&change.instance)) {
        (Some(end), now) => {
            let end = lease::written(end);
            fact("lease", &format!("until {end}{}", now.map_or_else(String::new, |now| format!(", now until {now}"))));
            calls.push(format!("CreateTags {}={end}", lease::LEASE));
        }
        (None, Some(now)) => fact("lease", &format!("stays: until {now}")),
        (None, None) => fact("lease", "none"),
    }
    if let Some(on) = change.protection {
        fact("protection", if on { "will be on" } else { "will be off" });
        calls.push(format!("ModifyInstanceAttribute DisableApiTermination={on}"));
    }
    if calls.is_empty() {
        preview.problems.push(Problem { field: String::new(), message: Safe::line("nothing is changed yet"), fatal: false });
    }
    preview.request = Safe::text(&calls.join("\n"));
    preview
}

/// Changes it, and says what was done and what was not.
///
/// # Errors
/// When the form has mistakes, or as the service says; what was changed before stays changed, and is said.
pub(super) async fn update(aws: &Aws, form: &Form, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<Outcome, Failure> {
    if let Some(problem) = check(form).into_iter().find(|problem| problem.fatal) {
        return Err(invalid(&format!("{}: {}", problem.field, problem.message), ""));
    }
    let change = Change::of(aws, form).await?;
    let id = look::id(&change.instance).to_owned();
    let mut done = Vec::new();
    let with = |done: &[String], failure: Failure| {
        if done.is_empty() {
            failure
        } else {
            Failure::new(failure.kind, format!("{}; but {}", done.join(", "), failure.what), &failure.hint)
        }
    };
    // The lease first: whoever asks for more time may have little left.
    if let Some(end) = change.end {
        progress(Progress { said: Safe::line(&format!("writing the lease of {id}")), done: 0, total: 0 });
        let tag = Tag::builder().key(lease::LEASE).value(lease::written(end)).build();
        let asked = aws.ec2.create_tags().resources(&id).tags(tag).send().await;
        asked.map_err(|error| fault::tell(&format!("writing the lease of {id}"), &error))?;
        done.push(format!("its lease ends at {}, {}", lease::written(end), timer(aws, &change.instance, end).await));
    }
    if let Some(on) = change.protection {
        let value = AttributeBooleanValue::builder().value(on).build();
        let asked = aws.ec2.modify_instance_attribute().instance_id(&id).disable_api_termination(value).send().await;
        asked.map_err(|error| with(&done, fault::tell(&format!("protecting {id}"), &error)))?;
        done.push(format!("its protection is {}", if on { "on" } else { "off" }));
    }
    if let Some(kind) = change.kind {
        let value = AttributeValue::builder().value(&kind).build();
        let asked = aws.ec2.modify_instance_attribute().instance_id(&id).instance_type(value).send().await;
        asked.map_err(|error| with(&done, fault::tell(&format!("changing the type of {id}"), &error)))?;
        done.push(format!("it is {kind} from its next start on"));
    }
    if done.is_empty() {
        return Ok(Outcome::Said(Safe::line(&format!("{id}: nothing was to be changed"))));
    }
    Ok(Outcome::Said(Safe::line(&format!("{id}: {}", done.join("; ")))))
}

/// Tells the timer in the guest a new end, and says what came of it. The tag is what counts: a guest that reads it needs no
/// telling, and whether it does is known by how it was launched.
async fn timer(aws: &Aws, instance: &Instance, end: Timestamp) -> String {
    if look::name_of_state(instance) != "running" {
        return "which its timer reads when it is started".to_owned();
    }
    let reads = instance
        .metadata_options()
        .and_then(|options| options.instance_metadata_tags())
        .is_some_and(|tags| tags.as_str() == "enabled");
    let nitro = machines::describe(aws, look::kind(instance)).await.is_ok_and(|machine| machine.nitro);
    if aws.mode() == Mode::Aws && reads && nitro {
        return "which its timer reads within a minute".to_owned();
    }
    match tell(aws, instance, end).await {
        Ok(()) => "and its timer knows".to_owned(),
        Err(failure) => format!("but its timer could not be told and still ends it as before: {}", failure.what),
    }
}

async fn tell(aws: &Aws, instance: &Instance, end: Timestamp) -> Result<(), Failure> {
    let aws = aws.shared().ok_or_else(|| invalid("footplate is closing", ""))?;
    // Nobody is there to be asked: only a machine whose key is vouched for is told.
    let mut doorman = InstanceDoor::new(aws, look::id(instance), Arc::new(|_| Box::pin(async { false })));
    let login = doorman.login(instance).await?;
    let connection = Connection::open(&login, &doorman).await?;
    lease::extend(&connection, end).await
}
