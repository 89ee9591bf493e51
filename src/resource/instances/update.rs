//! Changing what is there: its lease, its type while it is stopped, its protection.

use std::sync::Arc;

use aws_sdk_ec2::types::{AttributeBooleanValue, AttributeValue, Instance, Tag};
use jiff::{SignedDuration, Timestamp};

use super::check::check;
use super::door::InstanceDoor;
use super::wrong::{problem_of, together, unless_wrong};
use super::{form, invalid, lease, list, look, spent};
use crate::aws::machines::Machine;
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

/// What was found out about a change: what of it can be done, and all that stands in its way.
struct Looked {
    change: Change,
    /// What its new type is, where it gets one.
    machine: Option<Machine>,
    failures: Vec<Failure>,
}

impl Change {
    /// Looks at all that is to be changed; fields that the check has found wrong are left out.
    ///
    /// # Errors
    /// When the instance itself cannot be looked at.
    async fn of(aws: &Aws, form: &Form, checked: &[Problem]) -> Result<Looked, Failure> {
        let target = form.parent.as_ref().ok_or_else(|| invalid("nothing is selected", "select an instance"))?;
        let sound = |name: &str| !checked.iter().any(|problem| problem.fatal && problem.field == name);
        let instance = look::one(aws, target.as_str()).await?;
        let mut failures = Vec::new();
        let kind = Some(form.value("instance_type").trim()).filter(|kind| *kind != look::kind(&instance));
        let kind = kind.filter(|_| sound("instance_type")).map(str::to_owned);
        let machine = match &kind {
            Some(kind) => retype(aws, &instance, kind, &mut failures).await,
            None => None,
        };
        let end = length::seconds(form.value("lease"))
            .filter(|_| sound("lease"))
            .and_then(|seconds| Timestamp::now().checked_add(SignedDuration::from_secs(seconds)).ok());
        let wanted = form.value("protection") == "yes";
        let protection = match form::protection(aws, look::id(&instance)).await {
            Ok(is) => (is != wanted).then_some(wanted),
            Err(failure) => {
                failures.push(failure);
                None
            }
        };
        if end.is_some() && look::lease_end(&instance).is_none() {
            let what = format!("lease: {} was launched without one, and nothing in it would end it", look::id(&instance));
            failures.push(invalid(&what, "leave it empty, and end the instance yourself in time (X)"));
        }
        if protection == Some(true) && list::is_spot(&instance) {
            failures.push(invalid("protection: a spot instance cannot be protected", "leave it off"));
        }
        Ok(Looked { change: Self { instance, kind, end, protection }, machine, failures })
    }
}

/// What another type is, and all that keeps the instance from having it.
async fn retype(aws: &Aws, instance: &Instance, kind: &str, failures: &mut Vec<Failure>) -> Option<Machine> {
    if look::name_of_state(instance) != "stopped" {
        failures.push(invalid(
            &format!(
                "instance_type: {} is {}; its type can be changed while it is stopped",
                look::id(instance),
                look::state(instance).word
            ),
            if look::name_of_state(instance) == "stopping" { "wait until it has stopped" } else { "stop it (x) first" },
        ));
    }
    let (machine, zones) = tokio::join!(machines::describe(aws, kind), machines::zones(aws, kind));
    let machine = match machine {
        Ok(machine) => machine,
        Err(failure) => {
            failures.push(Failure::new(failure.kind, format!("instance_type: {}", failure.what), &failure.hint));
            return None;
        }
    };
    let own = instance.architecture().map_or("", |one| one.as_str());
    if !machine.architectures.iter().any(|one| one == own) {
        let what = format!("instance_type: {kind} is {}, and the instance is {own}", machine.architectures.join(", "));
        failures.push(invalid(&what, "take a type of its architecture"));
    }
    let zone = look::zone(instance);
    match zones {
        // Its disk is in its zone, and stays there.
        Ok(zones) if !zones.iter().any(|one| one == zone) => {
            let others = if zones.is_empty() { "no zone here does".to_owned() } else { format!("{} do", zones.join(", ")) };
            failures.push(invalid(
                &format!("instance_type: {zone}, where it and its disk are, does not offer {kind}; {others}"),
                "take another type, or launch a new one there",
            ));
        }
        Ok(_) => {}
        Err(failure) => failures.push(failure),
    }
    Some(machine)
}

/// Looks at everything, changes nothing; all that is wrong becomes a problem of its field, also beside others.
pub(super) async fn preview(aws: &Aws, form: &Form) -> Preview {
    let checked = check(form);
    let looked = Change::of(aws, form, &checked).await;
    let mut preview = Preview { problems: checked, ..Preview::default() };
    let Looked { change, machine, failures } = match looked {
        Ok(looked) => looked,
        Err(failure) => {
            preview.problems.push(problem_of(&failure));
            return preview;
        }
    };
    preview.problems.extend(failures.iter().map(problem_of));
    let mut fact = |name: &str, value: &str| preview.facts.push((name.into(), Safe::line(value)));
    fact("instance", look::id(&change.instance));
    fact("state", look::name_of_state(&change.instance));
    let mut calls = Vec::new();
    if let Some(kind) = &change.kind {
        fact("type", &format!("{} becomes {kind}", look::kind(&change.instance)));
        calls.extend(spent::due(aws, &change.instance, None).map(|ran| format!("CreateTags {}={ran}", spent::RAN)));
        calls.push(format!("ModifyInstanceAttribute InstanceType={kind}"));
    }
    if let Some(machine) = &machine {
        fact("machine", &machine.said());
        let spent = spending::look_at_instance(aws, list::is_spot(&change.instance), machine, None).await;
        preview.facts.extend(spent.facts.into_iter().filter(|(name, _)| matches!(name.as_str(), "price" | "quota")));
        (preview.per_hour, preview.quota, preview.more) = (spent.per_hour, spent.quota, spent.more);
        // What the account may not have could not be started, which is why it is refused as a launch of it is.
        preview.problems.extend(spent.problems);
    }
    let mut fact = |name: &str, value: &str| preview.facts.push((name.into(), Safe::line(value)));
    match (change.end, look::lease_end(&change.instance)) {
        (Some(end), now) => {
            let before = now.map_or_else(String::new, |now| format!("; now until {}", lease::told(now)));
            fact("lease", &format!("until {}{before}", lease::told(end)));
            calls.push(format!("CreateTags {}={}", lease::LEASE, lease::written(end)));
        }
        (None, Some(now)) => fact("lease", &format!("stays: until {}", lease::told(now))),
        (None, None) => fact("lease", "none"),
    }
    if let Some(on) = change.protection {
        fact("protection", if on { "will be on" } else { "will be off" });
        calls.push(format!("ModifyInstanceAttribute DisableApiTermination={on}"));
    }
    if preview.problems.iter().any(|problem| problem.fatal) {
        return preview;
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
    let checked = check(form);
    unless_wrong(&checked)?;
    let Looked { change, failures, .. } = Change::of(aws, form, &checked).await?;
    if !failures.is_empty() {
        return Err(together(&failures));
    }
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
        // The tag says nothing that its timer does not know.
        let knows = timer(aws, &change.instance, end).await?;
        let tag = Tag::builder().key(lease::LEASE).value(lease::written(end)).build();
        let asked = aws.ec2.create_tags().resources(&id).tags(tag).send().await;
        asked.map_err(|error| fault::tell(&format!("writing the lease of {id}"), &error))?;
        done.push(format!("its lease ends at {}, {}", lease::told(end), knows));
    }
    if let Some(on) = change.protection {
        let value = AttributeBooleanValue::builder().value(on).build();
        let asked = aws.ec2.modify_instance_attribute().instance_id(&id).disable_api_termination(value).send().await;
        asked.map_err(|error| with(&done, fault::tell(&format!("protecting {id}"), &error)))?;
        done.push(format!("its protection is {}", if on { "on" } else { "off" }));
    }
    if let Some(kind) = change.kind {
        let value = AttributeValue::builder().value(&kind).build();
        // From then on it looks as if it had run as the new type.
        let unnoted = spent::note(aws, &change.instance, None).await.err();
        let asked = aws.ec2.modify_instance_attribute().instance_id(&id).instance_type(value).send().await;
        asked.map_err(|error| with(&done, fault::tell(&format!("changing the type of {id}"), &error)))?;
        done.push(format!("it is {kind} from its next start on"));
        done.extend(unnoted.map(|failure| spent::unnoted(&failure)));
    }
    if done.is_empty() {
        return Ok(Outcome::Said(Safe::line(&format!("{id}: nothing was to be changed"))));
    }
    Ok(Outcome::Said(Safe::line(&format!("{id}: {}", done.join("; ")))))
}

/// Tells the timer in the guest a new end where it cannot read the tag, which is known by how it was launched; and says how it
/// knows.
///
/// # Errors
/// When it cannot be told.
async fn timer(aws: &Aws, instance: &Instance, end: Timestamp) -> Result<&'static str, Failure> {
    if look::name_of_state(instance) != "running" {
        return Ok("which its timer reads when it is started");
    }
    let reads = instance
        .metadata_options()
        .and_then(|options| options.instance_metadata_tags())
        .is_some_and(|tags| tags.as_str() == "enabled");
    let nitro = machines::describe(aws, look::kind(instance)).await.is_ok_and(|machine| machine.nitro);
    if aws.mode() == Mode::Aws && reads && nitro {
        return Ok("which its timer reads within a minute");
    }
    tell(aws, instance, end).await.map(|()| "and its timer knows").map_err(|failure| {
        let what =
            format!("the lease of {} stays as it is, for its timer could not be told: {}", look::id(instance), failure.what);
        Failure::new(failure.kind, what, &failure.hint)
    })
}

async fn tell(aws: &Aws, instance: &Instance, end: Timestamp) -> Result<(), Failure> {
    let aws = aws.shared().ok_or_else(|| invalid("footplate is closing", ""))?;
    // Nobody is there to be asked: only a machine whose key is vouched for is told.
    let mut doorman = InstanceDoor::new(aws, look::id(instance), Arc::new(|_| Box::pin(async { false })));
    let login = doorman.login(instance).await?;
    let connection = Connection::open(&login, &doorman).await?;
    lease::extend(&connection, end).await
}
