//! `StartInstances`, `StopInstances`, `RebootInstances`, `TerminateInstances`: what a call changes at once; the rest is done by
//! `machine`, and takes time.

use serde_json::{Value, json};

use super::Ec2;
use super::ids::INSTANCE;
use super::instance::{Instance, Shutdown, State};
use super::kinds;
use super::limits;
use super::machine::Step;
use super::store::Kept as _;
use super::wanted::{check_dry_run, texts};
use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;

/// `StartInstances`.
///
/// # Errors
/// `IncorrectInstanceState`, `VcpuLimitExceeded`, `InsufficientInstanceCapacity`, `InvalidInstanceID.NotFound`.
pub fn start(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let mut instances = ec2.asked(request)?;
    for instance in &instances {
        match instance.state {
            State::Stopped => {
                let kind = kinds::named(&instance.kind)?;
                limits::fitting(ec2, kind, instance.spot.is_some(), 1, 1)?;
                limits::zone(&ec2.place, kind, Some(instance.zone))?;
            }
            State::Pending | State::Running => {}
            _ => return Err(wrong_state(instance, "is not in a state from which it can be started.")),
        }
    }
    check_dry_run(request)?;
    change(ec2, &mut instances, "StartingInstances", |instance| {
        if instance.state == State::Stopped {
            instance.state = State::Pending;
            instance.launched = now_millis();
            instance.reason = Some(("pending".to_owned(), "pending".to_owned()));
            instance.transition = String::new();
            return Some(Step::Start);
        }
        None
    })
}

/// `StopInstances`.
///
/// # Errors
/// `IncorrectInstanceState`, `OperationNotPermitted`, `UnsupportedOperation` for one-time spot instances,
/// `InvalidInstanceID.NotFound`.
pub fn stop(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let mut instances = ec2.asked(request)?;
    for instance in &instances {
        if matches!(instance.state, State::Pending | State::ShuttingDown | State::Terminated) {
            return Err(wrong_state(instance, "is not in a state from which it can be stopped."));
        }
        if let Some(spot) = instance.spot.as_ref().filter(|spot| !spot.persistent) {
            let text = format!(
                "You can't stop the Spot Instance '{}' because it is associated with a one-time Spot Instance request ({}). You can only stop Spot Instances associated with persistent Spot Instance requests.",
                instance.id, spot.request
            );
            return Err(Fault::new("UnsupportedOperation", 400, text));
        }
        if instance.stop_protected && instance.state == State::Running {
            return Err(protected(instance, "stopped", "disableApiStop"));
        }
    }
    check_dry_run(request)?;
    change(ec2, &mut instances, "StoppingInstances", |instance| {
        if instance.state == State::Running {
            by_user(instance, State::Stopping);
            return Some(Step::End);
        }
        None
    })
}

/// `RebootInstances`: the state does not change.
///
/// # Errors
/// `IncorrectInstanceState`, `InvalidInstanceID.NotFound`.
pub fn reboot(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let instances = ec2.asked(request)?;
    if let Some(instance) = instances.iter().find(|instance| instance.state != State::Running) {
        // assumed: the text.
        return Err(wrong_state(instance, "is not in a state from which it can be rebooted."));
    }
    check_dry_run(request)?;
    for instance in &instances {
        ec2.begin(&instance.id, Step::Reboot);
    }
    Ok(json!({}))
}

/// `TerminateInstances`: all of them or, when one of them may not be, none.
///
/// # Errors
/// `OperationNotPermitted` for protected instances, `InvalidInstanceID.NotFound`.
pub fn terminate(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let mut instances = ec2.asked(request)?;
    if let Some(instance) = instances.iter().find(|instance| instance.protected && !instance.state.ends()) {
        return Err(protected(instance, "terminated", "disableApiTermination"));
    }
    check_dry_run(request)?;
    change(ec2, &mut instances, "TerminatingInstances", |instance| {
        if instance.state.ends() {
            return None;
        }
        by_user(instance, State::ShuttingDown);
        Some(Step::End)
    })
}

impl Ec2 {
    /// The instance has shut itself down: it stops or terminates, as was agreed when it was launched. Protection does not hold
    /// that up (EC2 User Guide, "Termination protection").
    ///
    /// # Errors
    /// When the store cannot be used.
    pub fn shut_down_by_guest(&self, id: &str) -> Result<(), Fault> {
        let _turn = self.turn();
        let Some(mut instance) = self.store.get::<Instance>(id)?.filter(|instance| instance.state == State::Running) else {
            return Ok(());
        };
        instance.state = match instance.shutdown {
            Shutdown::Stop => State::Stopping,
            Shutdown::Terminate => State::ShuttingDown,
        };
        let code = "Client.InstanceInitiatedShutdown";
        instance.reason = Some((code.to_owned(), format!("{code}: Instance initiated shutdown")));
        instance.transition = String::new();
        self.store.change(|change| change.put(&instance))?;
        self.begin(id, Step::End);
        Ok(())
    }
}

fn change(
    ec2: &Ec2,
    instances: &mut [Instance],
    member: &str,
    next: impl Fn(&mut Instance) -> Option<Step>,
) -> Result<Value, Fault> {
    let mut shown = Vec::new();
    let mut steps = Vec::new();
    ec2.store.change(|change| {
        for instance in instances.iter_mut() {
            let before = instance.state;
            if let Some(step) = next(instance) {
                change.put(instance)?;
                steps.push((instance.id.clone(), step));
            }
            shown.push(json!({
                "InstanceId": instance.id(),
                "CurrentState": instance.state.document(),
                "PreviousState": before.document(),
            }));
        }
        Ok(())
    })?;
    for (id, step) in steps {
        ec2.begin(&id, step);
    }
    Ok(json!({member: shown}))
}

fn by_user(instance: &mut Instance, state: State) {
    let code = "Client.UserInitiatedShutdown";
    instance.state = state;
    instance.reason = Some((code.to_owned(), format!("{code}: User initiated shutdown")));
    let at = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
    instance.transition = format!("User initiated ({at} GMT)");
}

fn wrong_state(instance: &Instance, text: &str) -> Fault {
    Fault::new("IncorrectInstanceState", 400, format!("The instance '{}' {text}", instance.id))
}

fn protected(instance: &Instance, what: &str, attribute: &str) -> Fault {
    let text =
        format!("The instance '{}' may not be {what}. Modify its '{attribute}' instance attribute and try again.", instance.id);
    Fault::new("OperationNotPermitted", 400, text)
}

impl Ec2 {
    /// The instances of a request, in its order, each once.
    ///
    /// # Errors
    /// `InvalidInstanceID.Malformed`, `InvalidInstanceID.NotFound`.
    pub fn asked(&self, request: &Value) -> Result<Vec<Instance>, Fault> {
        let mut ids = texts(request, "InstanceIds");
        let mut seen = std::collections::HashSet::new();
        ids.retain(|id| seen.insert(*id));
        if ids.is_empty() {
            return Err(Fault::new("MissingParameter", 400, "The request must contain the parameter InstanceId"));
        }
        ids.iter().try_for_each(|id| INSTANCE.check_form(id))?;
        let there = self.instances()?;
        let missing: Vec<&str> = ids.iter().copied().filter(|id| there.iter().all(|instance| instance.id != *id)).collect();
        if !missing.is_empty() {
            return Err(INSTANCE.missing(&missing));
        }
        Ok(ids.into_iter().filter_map(|id| there.iter().find(|instance| instance.id == id).cloned()).collect())
    }
}
