//! Starting, stopping, rebooting and terminating.

use std::time::{Duration, Instant as Moment};

use aws_sdk_ec2::types::Instance;
use jiff::Timestamp;

use super::{invalid, lease, list, look, passes, spent};
use crate::aws::{Aws, Mode, fault};
use crate::model::show::{seconds_between, span};
use crate::model::{Failure, FailureKind, ItemId, Order, Outcome, Progress, Safe, Verb, command};
use crate::resource::{cannot, runs};

/// Less than this is left of a lease: to start with it is to lose the instance.
const LEFT: f64 = 600.0;
/// How long an instance may take to stop before it is no longer waited for. AWS forces one that hangs after some minutes.
const STOPS: Duration = Duration::from_mins(10);

/// Tells how far an order has come.
type Tell<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// Does it with each target; one that refuses does not keep the others from it.
pub(super) async fn act(aws: &Aws, order: &Order, progress: Tell<'_>) -> Result<Outcome, Failure> {
    let (mut said, mut failed) = (Vec::new(), Vec::new());
    for target in &order.targets {
        // By its name, it could be another one by now: who acts on several names one by its id.
        let done = async {
            let it = look::one(aws, target.as_str()).await?;
            let id = look::id(&it);
            let mut unnoted = None;
            let doing = match order.verb {
                Verb::Start => start(aws, it.clone(), progress, &mut unnoted).await?,
                Verb::Stop => stop(aws, &it).await?,
                Verb::Reboot => reboot(aws, &it).await?,
                Verb::Delete => terminate(aws, &it).await?,
                verb => return Err(cannot(verb)),
            };
            let name = look::name(&it);
            let more = unnoted.map_or_else(String::new, |failure| format!("; {}", spent::unnoted(&failure)));
            Ok(if name == id { format!("{doing} {id}{more}") } else { format!("{doing} {name} ({id}){more}") })
        };
        match Box::pin(done).await {
            Ok(done) => said.push(done),
            Err(failure) => failed.push(failure),
        }
    }
    Outcome::of_many(&said, failed, order.targets.len())
}

/// Starts it; `unnoted` is why it could not be noted what it ran before.
async fn start(aws: &Aws, it: Instance, progress: Tell<'_>, unnoted: &mut Option<Failure>) -> Result<&'static str, Failure> {
    if let Some(end) = look::lease_end(&it)
        && seconds_between(Timestamp::now(), end) < LEFT
    {
        return Err(invalid(
            &format!(
                "the lease of {} ends at {}: started now, it would end itself, with its disk",
                look::id(&it),
                lease::told(end)
            ),
            &format!(
                "give it a longer one first: lease from now, under update (e); {}",
                command(&format!("update instances {} --set lease=4h", look::id(&it)))
            ),
        ));
    }
    let it = stopped(aws, it, progress).await?;
    let id = look::id(&it);
    if is_over(&it) {
        return Err(gone(&it));
    }
    if look::name_of_state(&it) == "running" {
        return Ok("running already:");
    }
    // EC2 forgets with the start what was before it.
    *unnoted = spent::note(aws, &it, Some(Timestamp::now())).await.err();
    let asked = aws.ec2.start_instances().instance_ids(id).send().await;
    asked.map(|_| "starting").map_err(|error| fault::tell(&format!("starting {id}"), &error))
}

/// What is just stopping is waited for: EC2 starts only what has stopped, and who starts it means then.
async fn stopped(aws: &Aws, mut it: Instance, progress: Tell<'_>) -> Result<Instance, Failure> {
    let period = match aws.mode() {
        Mode::Local => Duration::from_millis(200),
        Mode::Aws => Duration::from_secs(3),
    };
    let begun = Moment::now();
    while look::name_of_state(&it) == "stopping" {
        let id = look::id(&it).to_owned();
        if begun.elapsed() > STOPS {
            return Err(Failure::new(
                FailureKind::Timeout,
                format!("{id} is still stopping after {}; it was not started", span(STOPS.as_secs_f64())),
                "start it again once it is stopped",
            ));
        }
        let said = format!("{id} is still stopping; it is started once it has stopped ({})", span(begun.elapsed().as_secs_f64()));
        progress(Progress { said: Safe::line(&said), done: 0, total: 0 });
        tokio::time::sleep(period).await;
        it = match look::one(aws, &id).await {
            Ok(now) => now,
            Err(failure) if passes(failure.kind) => it,
            Err(failure) => return Err(failure),
        };
    }
    Ok(it)
}

/// It does not come back.
fn is_over(it: &Instance) -> bool {
    matches!(look::name_of_state(it), "shutting-down" | "terminated")
}

fn gone(it: &Instance) -> Failure {
    invalid(
        &format!("{} is {}: it does not come back", look::id(it), look::name_of_state(it)),
        &format!("launch one like it: clone (c); {}", command(&format!("instance --like {}", look::id(it)))),
    )
}

async fn stop(aws: &Aws, it: &Instance) -> Result<&'static str, Failure> {
    let id = look::id(it);
    match look::name_of_state(it) {
        _ if is_over(it) => return Ok("over already:"),
        "stopped" => return Ok("stopped already:"),
        "pending" => return Err(invalid(&format!("{id} is starting just now"), "stop it once it runs: in a minute")),
        _ => {}
    }
    if list::is_spot(it) {
        return Err(invalid(
            &format!("{id} is a spot instance of one time: it cannot be stopped"),
            "terminate it, or let its lease end",
        ));
    }
    let asked = aws.ec2.stop_instances().instance_ids(id).send().await;
    asked.map_err(|error| fault::tell(&format!("stopping {id}"), &error))?;
    // It may be started elsewhere next. Where it cannot be noted now, it still can before a start from here.
    if let Ok(now) = look::one(aws, id).await {
        quietly_noted(aws, &now).await;
    }
    Ok("stopping")
}

/// The training runs that end when it does. Whoever did not launch it with footplate is not logged in to for the question.
pub(super) async fn at_stake(aws: &Aws, id: &ItemId) -> Result<Vec<Safe>, Failure> {
    let it = look::one(aws, id.as_str()).await?;
    if look::name_of_state(&it) != "running" {
        return Ok(Vec::new());
    }
    let own = look::tag(&it, look::OWNER).is_some();
    let (id, name) = (ItemId(look::id(&it).to_owned()), look::name(&it));
    let said = match Box::pin(runs::under_way(aws, &id, own)).await.as_deref() {
        None if own => format!("whether training runs are under way on {name} could not be seen"),
        None => return Ok(Vec::new()),
        Some([]) => format!("no training run is under way on {name}"),
        Some([one]) => format!("a training run on {name} ends with it: {one}"),
        Some(more) => format!("{} training runs on {name} end with it: {}", more.len(), more.join(", ")),
    };
    Ok(vec![Safe::line(&said)])
}

/// Notes what it ran up to its stop, once EC2 tells of that; what keeps it from that keeps nothing else.
async fn quietly_noted(aws: &Aws, it: &Instance) {
    if matches!(look::name_of_state(it), "stopping" | "stopped")
        && look::ended(it).is_some()
        && let Err(failure) = spent::note(aws, it, None).await
    {
        tracing::info!("{failure}");
    }
}

async fn reboot(aws: &Aws, it: &Instance) -> Result<&'static str, Failure> {
    let id = look::id(it);
    match look::name_of_state(it) {
        _ if is_over(it) => return Err(gone(it)),
        word @ ("stopped" | "stopping") => {
            return Err(invalid(
                &format!("{id} is {word}: only what runs can be rebooted"),
                &format!("start it: S; {}", command(&format!("start instances {id}"))),
            ));
        }
        "pending" => return Err(invalid(&format!("{id} is starting just now"), "reboot it once it runs, if need be")),
        _ => {}
    }
    let asked = aws.ec2.reboot_instances().instance_ids(id).send().await;
    asked.map(|_| "rebooting").map_err(|error| fault::tell(&format!("rebooting {id}"), &error))
}

async fn terminate(aws: &Aws, it: &Instance) -> Result<&'static str, Failure> {
    let id = look::id(it);
    // Once it is terminated, EC2 does not tell any more when it was stopped.
    quietly_noted(aws, it).await;
    let asked = aws.ec2.terminate_instances().instance_ids(id).send().await;
    asked.map(|_| "terminating").map_err(|error| fault::tell(&format!("terminating {id}"), &error))
}
