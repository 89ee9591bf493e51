//! Starting, stopping, rebooting and terminating.

use aws_sdk_ec2::types::Instance;
use jiff::Timestamp;

use super::{invalid, lease, list, look};
use crate::aws::{Aws, fault};
use crate::model::show::seconds_between;
use crate::model::{Failure, Order, Outcome, Verb};
use crate::resource::cannot;

/// Less than this is left of a lease: to start with it is to lose the instance.
const LEFT: f64 = 600.0;

/// Does it with each target; one that refuses does not keep the others from it.
pub(super) async fn act(aws: &Aws, order: &Order) -> Result<Outcome, Failure> {
    let (mut said, mut failed) = (Vec::new(), Vec::new());
    for target in &order.targets {
        // By its name, it could be another one by now: who acts on several names one by its id.
        let done = async {
            let it = look::one(aws, target.as_str()).await?;
            let id = look::id(&it);
            let doing = match order.verb {
                Verb::Start => start(aws, &it).await?,
                Verb::Stop => stop(aws, &it).await?,
                Verb::Reboot => reboot(aws, id).await?,
                Verb::Delete => terminate(aws, id).await?,
                verb => return Err(cannot(verb)),
            };
            let name = look::name(&it);
            Ok(if name == id { format!("{doing} {id}") } else { format!("{doing} {name} ({id})") })
        };
        match done.await {
            Ok(done) => said.push(done),
            Err(failure) => failed.push(failure),
        }
    }
    Outcome::of_many(&said, failed, order.targets.len())
}

async fn start(aws: &Aws, it: &Instance) -> Result<&'static str, Failure> {
    let id = look::id(it);
    if let Some(end) = look::lease_end(it)
        && seconds_between(Timestamp::now(), end) < LEFT
    {
        return Err(invalid(
            &format!("the lease of {id} ends at {}: started now, it would end itself, with its disk", lease::written(end)),
            "give it a longer lease first: update (e), lease from now",
        ));
    }
    let asked = aws.ec2.start_instances().instance_ids(id).send().await;
    asked.map(|_| "starting").map_err(|error| fault::tell(&format!("starting {id}"), &error))
}

async fn stop(aws: &Aws, it: &Instance) -> Result<&'static str, Failure> {
    let id = look::id(it);
    if list::is_spot(it) {
        return Err(invalid(
            &format!("{id} is a spot instance of one time: it cannot be stopped"),
            "terminate it, or let its lease end",
        ));
    }
    let asked = aws.ec2.stop_instances().instance_ids(id).send().await;
    asked.map(|_| "stopping").map_err(|error| fault::tell(&format!("stopping {id}"), &error))
}

async fn reboot(aws: &Aws, id: &str) -> Result<&'static str, Failure> {
    let asked = aws.ec2.reboot_instances().instance_ids(id).send().await;
    asked.map(|_| "rebooting").map_err(|error| fault::tell(&format!("rebooting {id}"), &error))
}

async fn terminate(aws: &Aws, id: &str) -> Result<&'static str, Failure> {
    let asked = aws.ec2.terminate_instances().instance_ids(id).send().await;
    asked.map(|_| "terminating").map_err(|error| fault::tell(&format!("terminating {id}"), &error))
}
