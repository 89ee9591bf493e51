//! From the form to a running instance: preview, security group, one place after the other, and never two instances.
//!
//! What makes a repetition harmless is the client token: one for each order and zone, in the request that the journal notes
//! before it is sent. EC2 answers the same token with the same instance. A request is built once and sent as it is; what came
//! of one whose answer was lost is looked up by its token before anything else is tried.

use std::time::{Duration, Instant};

use aws_sdk_ec2::types::Instance;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use jiff::{SignedDuration, Timestamp};

use super::check::check;
use super::draft::Draft;
use super::network::Gate;
use super::parts::{Group, Parts, Site};
use super::wrong::{problem_of, together, unless_wrong};
use super::{detail, group, image, invalid, lease, look};
use crate::aws::{Aws, Mode, current_order, fault, price, spending};
use crate::model::show::{money, span};
use crate::model::{
    Failure, FailureKind, Form, InstanceRecipe, ItemId, Outcome, Phase, Preview, Problem, Progress, Recipe, Safe, Verb, command,
};

/// Where a security group's id will be, in the preview of a request.
const TO_BE_MADE: &str = "(a new one)";
/// How long an instance may take to come up; GPU machines with a large image take ten minutes at worst.
const PATIENCE: Duration = Duration::from_mins(20);
/// Looks for what came of a request whose answer was lost.
const LOOKS: u32 = 5;

/// Looks at everything, changes nothing; all that is wrong becomes a problem of its field, also beside others.
pub(super) async fn preview(aws: &Aws, recipe: &Recipe, form: &Form) -> Preview {
    let checked = check(form);
    let parts = Box::pin(Parts::of(aws, form, &checked)).await;
    let vpc = parts.sites.first().map(|site| site.vpc.clone());
    let (spent, group, twins) = tokio::join!(
        async {
            let machine = parts.machine.as_ref()?;
            Some(Box::pin(spending::look_at_instance(aws, form.value("spot") == "yes", machine, parts.lease_seconds)).await)
        },
        async { Some(Box::pin(group::there(aws, parts.group.as_ref()?, vpc.as_deref()?)).await) },
        Box::pin(twins(aws, form.value("name").trim()))
    );
    let mut preview = Preview { facts: facts(aws, form, &parts, spent.as_ref()), problems: checked, ..Preview::default() };
    preview.problems.extend(parts.failures.iter().map(problem_of));
    if let Some(spent) = spent {
        (preview.per_hour, preview.quota, preview.more) = (spent.per_hour, spent.quota, spent.more);
        preview.problems.extend(spent.problems);
    }
    let mut id = TO_BE_MADE.to_owned();
    match group {
        Some(Ok(Some(found))) => {
            found.group_id().unwrap_or_default().clone_into(&mut id);
            let gate = Gate::of(std::slice::from_ref(&found), 22);
            if gate.is_closed() && !matches!(parts.group, Some(Group::Mine(_))) {
                preview.problems.push(note("security_group", &format!("{id}: {}", gate.said(22, false))));
            }
        }
        Some(Err(failure)) => preview.problems.push(problem_of(&failure)),
        Some(Ok(None)) | None => {}
    }
    let instead = parts.image.as_ref().and_then(|(_, instead)| instead.as_ref());
    preview.problems.extend(instead.map(|why| note("image", why)));
    preview.problems.extend(twins);
    preview.problems.extend(unasked(aws, recipe, form));
    if preview.problems.iter().any(|problem| problem.fatal) {
        return preview;
    }
    if let Ok(draft) = Draft::of(aws, recipe, form, parts) {
        let end = end(draft.lease_seconds);
        preview.request = Safe::text(&serde_json::to_string_pretty(&draft.document(&id, end)).unwrap_or_default());
    }
    preview
}

fn note(field: &str, message: &str) -> Problem {
    Problem { field: field.to_owned(), message: Safe::line(message), fatal: false }
}

/// Instances of the same name that live: who starts again after a crash may have what he wants already.
async fn twins(aws: &Aws, name: &str) -> Option<Problem> {
    if name.is_empty() {
        return None;
    }
    let found = crate::aws::machines::instances(aws, vec![super::form::filter("tag:Name", name)]).await.ok()?;
    let lives = |it: &&Instance| matches!(look::state(it).phase, Phase::Waiting | Phase::Active | Phase::Stopped);
    let there: Vec<String> = found
        .iter()
        .filter(lives)
        .map(|it| {
            // Of one that ended by itself nothing tells when.
            let runs = matches!(look::name_of_state(it), "pending" | "running");
            let since = if runs { it.launch_time().map(crate::aws::time::ours) } else { look::ended(it) };
            let since = since.map_or_else(String::new, |since| {
                format!(" for {}", span(crate::model::show::seconds_between(since, Timestamp::now())))
            });
            format!("{} ({}{since})", look::id(it), look::name_of_state(it))
        })
        .collect();
    (!there.is_empty())
        .then(|| note("name", &format!("there is one of that name already: {}; this makes another", there.join(", "))))
}

/// Where nobody has said which machine, how one says it.
fn unasked(aws: &Aws, recipe: &Recipe, form: &Form) -> Option<Problem> {
    let field = form.fields.iter().find(|field| field.name == "instance_type")?;
    if form.verb != Verb::Launch || recipe.instance.is_some() || field.value != field.initial {
        return None;
    }
    let gpu = InstanceRecipe::usual("").instance_type;
    let price = price::ec2(aws.region(), &gpu).map_or_else(String::new, |price| format!(" ({}/h)", money(price.per_hour)));
    Some(note("instance_type", &format!("small and without a GPU, as nothing says otherwise; with one: e.g. {gpu}{price}")))
}

/// Short, for a narrow column; all the rest is in the request below it. What is not known is left out.
fn facts(aws: &Aws, form: &Form, parts: &Parts, spent: Option<&spending::Spending>) -> Vec<(Safe, Safe)> {
    let mut facts: Vec<(Safe, Safe)> = Vec::new();
    let mut fact = |name: &str, value: &str| facts.push((name.into(), Safe::line(value)));
    if let Some(machine) = &parts.machine {
        fact("machine", &format!("{} · {}", machine.name, machine.said()));
    }
    for (name, value) in spent.iter().flat_map(|spent| &spent.facts) {
        fact(name.as_str(), value.as_str());
    }
    if let Some(seconds) = parts.lease_seconds {
        fact("ends itself", &format!("{}, with its disk", lease::told(end(seconds))));
    }
    if let Some(size) = parts.storage_gb {
        let month = price::volume(aws.region(), "gp3").map(|rate| format!(", {} a month", money(rate * f64::from(size))));
        fact("disk", &format!("{size} GB gp3{}", month.unwrap_or_default()));
    }
    if let Some((image, _)) = &parts.image {
        fact("image", &image.name);
        if let Some(day) = image.created.get(..10) {
            fact("image of", day);
        }
        let user = form.value("user").trim();
        fact("logs in", if user.is_empty() { image.user() } else { user });
    }
    let zones: Vec<&str> = parts.sites.iter().map(|site| site.zone.as_str()).collect();
    if parts.machine.is_some() && !zones.is_empty() {
        fact("zones", &zones.join(", "));
    }
    match &parts.group {
        Some(Group::Mine(range)) => fact("ssh from", range),
        Some(Group::Default) => fact("group", "the network's default one"),
        Some(Group::Named(id)) => fact("group", id),
        None => {}
    }
    let profile = form.value("instance_profile").trim();
    if !profile.is_empty() {
        fact("profile", profile.rsplit('/').next().unwrap_or(profile));
        fact("you need", "iam:PassRole on its role");
    }
    if let Some(source) = spent.and_then(|spent| spent.source.as_ref()) {
        fact("prices", source.as_str());
    }
    facts
}

/// When a lease that begins now ends, in whole seconds.
fn end(seconds: i64) -> Timestamp {
    Timestamp::now().checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

/// Launches it.
///
/// # Errors
/// When the form has mistakes, or as the service says; then nothing runs, or it is said where to look.
pub(super) async fn launch(
    aws: &Aws,
    recipe: &Recipe,
    form: &Form,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Outcome, Failure> {
    let checked = check(form);
    unless_wrong(&checked)?;
    let parts = Box::pin(Parts::of(aws, form, &checked)).await;
    let draft = Draft::of(aws, recipe, form, parts).map_err(|failures| together(&failures))?;
    let Some(first) = draft.sites.first() else { return Err(invalid("zone: there is no place to launch in", "")) };
    pre_flight(aws, &draft, first).await?;
    let group = group::ready(aws, &draft, first, progress).await?;
    let end = end(draft.lease_seconds);
    let mut full = Vec::new();
    for site in &draft.sites {
        progress(Progress {
            said: Safe::line(&format!("asking for {} in {}", draft.machine.name, site.zone)),
            done: 0,
            total: 0,
        });
        match in_one(aws, &draft, site, &group, end).await {
            Ok(Some(instance)) => {
                let id = look::id(&instance).to_owned();
                look::launched(aws, &id);
                let said = if form.verb == Verb::Clone { "cloned as" } else { "launched" };
                let said = format!("{said} {} ({id}) in {}; it ends itself at {}", draft.name, site.zone, lease::told(end));
                return Ok(Outcome::Made { id: ItemId(id), said: Safe::line(&said) });
            }
            Ok(None) => full.push(site.zone.as_str()),
            // Where an answer was lost, there may be an instance that uses the group.
            Err(failure) if group.made && !is_lost(failure.kind) => return Err(group::take_back(aws, &group.id, failure).await),
            Err(failure) => return Err(failure),
        }
        let said = format!("{} has no {} free just now", site.zone, draft.machine.name);
        progress(Progress { said: Safe::line(&said), done: 0, total: 0 });
    }
    let none = Failure::new(
        FailureKind::Service,
        format!("no {} is free just now in {}", draft.machine.name, full.join(", ")),
        if draft.spot { "try again later, on demand (spot=no), or another type" } else { "try again later, or another type" },
    );
    Err(if group.made { group::take_back(aws, &group.id, none).await } else { none })
}

/// Whether what such a failure is about may have been done all the same.
fn is_lost(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Timeout | FailureKind::Network | FailureKind::Service)
}

/// Asks EC2 whether it would launch, before anything is made, where only EC2 knows what an image's parameter leads to
/// (`DryRun`: `DryRunOperation` is a yes). What else it may refuse, the launch itself tells.
async fn pre_flight(aws: &Aws, draft: &Draft, site: &Site) -> Result<(), Failure> {
    if !draft.image.id.starts_with(image::PARAMETER) {
        return Ok(());
    }
    let call = draft.request(aws, site, "", "", Timestamp::now());
    let call = call.set_security_group_ids(None).set_client_token(None).dry_run(true);
    let Err(error) = call.send().await else { return Ok(()) };
    // assumed: what a parameter does not lead to is one of these.
    let about_image = error.code().is_some_and(|code| code.starts_with("InvalidAMI") || code == "InvalidParameterValue");
    let failure = fault::tell("looking for the image", &error);
    if !about_image {
        return Ok(());
    }
    Err(Failure::new(failure.kind, format!("image: {}", failure.what), &failure.hint))
}

/// Asks for it in one place. `None`: there is none free there.
async fn in_one(
    aws: &Aws,
    draft: &Draft,
    site: &Site,
    group: &group::Ready,
    end: Timestamp,
) -> Result<Option<Instance>, Failure> {
    let token = token(&site.zone);
    let doing = format!("launching {} in {}", draft.name, site.zone);
    let begun = Instant::now();
    let (error, code) = loop {
        let error = match draft.request(aws, site, &group.id, &token, end).send().await {
            Ok(answer) => return Ok(answer.instances.unwrap_or_default().into_iter().next()),
            Err(error) => error,
        };
        let code = error.code().unwrap_or_default().to_owned();
        let unseen = group.made && code.starts_with("InvalidGroup") && code.ends_with(".NotFound");
        if !unseen || begun.elapsed() > group::UNSEEN {
            break (error, code);
        }
        tokio::time::sleep(group::PAUSE).await;
    };
    if ["InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientCapacity"].contains(&code.as_str()) {
        return Ok(None);
    }
    let failure = fault::tell(&doing, &error);
    // "Unsupported" is what a zone says that does not have the type at all.
    if code == "Unsupported" && draft.sites.len() > 1 {
        return Ok(None);
    }
    // The token is taken, by a request of this order that was another one (its lease ended at another second).
    let taken = code == "IdempotentParameterMismatch";
    if !taken && !is_lost(failure.kind) {
        return Err(failure);
    }
    match adopted(aws, &token, draft).await {
        Ok(Some(instance)) => Ok(Some(instance)),
        Ok(None) if taken => Err(failure),
        Ok(None) => Err(Failure::new(
            failure.kind,
            &failure.what,
            format!("nothing of it is to be seen; look for {} in a minute before you launch again", draft.name),
        )),
        Err(_) => Err(Failure::new(
            failure.kind,
            &failure.what,
            format!(
                "it may or may not have started: look for {} ({} tells) before you launch again",
                draft.name,
                command("doctor")
            ),
        )),
    }
}

/// The instance that was launched with this token, if it is of this order. One look that finds nothing proves nothing.
async fn adopted(aws: &Aws, token: &str, draft: &Draft) -> Result<Option<Instance>, Failure> {
    let pause = match aws.mode() {
        Mode::Local => Duration::from_millis(100),
        Mode::Aws => Duration::from_secs(3),
    };
    let order = draft.tags.iter().find(|(key, _)| key == look::ORDER).map(|(_, value)| value.as_str());
    for _ in 0..LOOKS {
        if let Some(instance) = look::by_token(aws, token).await? {
            return Ok((look::tag(&instance, look::ORDER) == order).then_some(instance));
        }
        tokio::time::sleep(pause).await;
    }
    Ok(None)
}

/// At most 64 characters, the same for the same order and zone.
fn token(zone: &str) -> String {
    let order = current_order().unwrap_or_default();
    format!("footplate-{order}-{zone}").chars().take(64).collect()
}

/// Waits until it runs and AWS's checks of it are passed.
///
/// # Errors
/// When it does not come up, with the reason that AWS gives.
pub(crate) async fn up(aws: &Aws, id: &ItemId, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<(), Failure> {
    let period = match aws.mode() {
        Mode::Local => Duration::from_millis(200),
        Mode::Aws => Duration::from_secs(5),
    };
    let begun = tokio::time::Instant::now();
    let mut troubles = 0;
    loop {
        match look::one(aws, id.as_str()).await {
            Ok(it) => {
                troubles = 0;
                let word = look::name_of_state(&it);
                let mut said = word.to_owned();
                if word == "running" {
                    if detail::is_well(detail::status(aws, &it).await.as_ref()) {
                        return Ok(());
                    }
                    "running, its checks are not through yet".clone_into(&mut said);
                } else if !matches!(word, "pending" | "") {
                    let why = it.state_reason().and_then(|reason| reason.message()).unwrap_or("no reason is given");
                    return Err(Failure::new(
                        FailureKind::Service,
                        format!("{} is {word}: {why}", id.as_str()),
                        format!("its console tells more: {}", command(&format!("logs instances {}", id.as_str()))),
                    ));
                }
                let since = span(begun.elapsed().as_secs_f64());
                progress(Progress { said: Safe::line(&format!("{}: {said} {since}", id.as_str())), done: 0, total: 0 });
            }
            Err(failure) if super::passes(failure.kind) && troubles < 5 => troubles += 1,
            Err(failure) => return Err(failure),
        }
        if begun.elapsed() > PATIENCE {
            return Err(Failure::new(
                FailureKind::Timeout,
                format!("{} has not come up within 20 minutes", id.as_str()),
                format!(
                    "look at its console ({}); it costs until its lease ends or it is terminated",
                    command(&format!("logs instances {}", id.as_str()))
                ),
            ));
        }
        tokio::time::sleep(period).await;
    }
}
