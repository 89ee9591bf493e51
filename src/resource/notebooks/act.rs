//! Starting, stopping, deleting, and addresses to open.

use super::place::{App, Place};
use super::{invalid, place};
use crate::aws::{Aws, Mode, fault};
use crate::model::{Failure, FailureKind, Order, Outcome, Safe, Verb, command};
use crate::resource::cannot;

/// Seconds for which a presigned URL can be opened: the least that AWS gives for Studio and for notebook instances, for it is
/// opened at once or not at all.
const HOLDS: i32 = 60;
/// For how long a Studio session then lasts, AWS's own default.
const SESSION: i32 = 43_200;

/// Does it with each target; one that refuses does not keep the others from it.
pub(super) async fn act(aws: &Aws, order: &Order) -> Result<Outcome, Failure> {
    if order.verb == Verb::Open {
        let [one] = order.targets.as_slice() else {
            return Err(invalid("only one can be opened at a time", "unmark the others"));
        };
        return open(aws, &place(one)?).await;
    }
    let mut failed = Vec::new();
    let mut said = Vec::new();
    for target in &order.targets {
        let place = place(target)?;
        let done = match order.verb {
            Verb::Start => start(aws, &place).await,
            Verb::Stop => stop(aws, &place).await,
            Verb::Delete => delete(aws, &place).await,
            verb => Err(cannot(verb)),
        };
        match done {
            Ok(doing) => said.push(format!("{doing} {place}")),
            Err(failure) => failed.push(failure),
        }
    }
    Outcome::of_many(&said, failed, order.targets.len())
}

async fn start(aws: &Aws, place: &Place) -> Result<&'static str, Failure> {
    let Place::Notebook(name) = place else {
        return Err(invalid(
            format!("{place} cannot be started from here"),
            "open its user profile (w) and start an app in Studio",
        ));
    };
    let asked = aws.sagemaker.start_notebook_instance().notebook_instance_name(name).send().await;
    asked.map(|_| "starting").map_err(|error| fault::tell(&format!("starting {place}"), &error))
}

async fn stop(aws: &Aws, place: &Place) -> Result<&'static str, Failure> {
    match place {
        Place::Notebook(name) => {
            let asked = aws.sagemaker.stop_notebook_instance().notebook_instance_name(name).send().await;
            asked.map(|_| "stopping").map_err(|error| fault::tell(&format!("stopping {place}"), &error))
        }
        Place::App(app) => delete_app(aws, place, app).await,
        _ => Err(invalid(format!("{place} does not run by itself"), "stop its apps")),
    }
}

async fn delete(aws: &Aws, place: &Place) -> Result<&'static str, Failure> {
    let doing = format!("deleting {place}");
    match place {
        Place::Notebook(name) => {
            let asked = aws.sagemaker.delete_notebook_instance().notebook_instance_name(name).send().await;
            asked.map(|_| "deleting").map_err(|error| match fault::tell(&doing, &error) {
                // SageMaker deletes only what is stopped or failed, and says so in its own words.
                failure if failure.kind == FailureKind::Invalid => Failure::new(failure.kind, failure.what, "stop it first"),
                failure => failure,
            })
        }
        Place::App(app) => delete_app(aws, place, app).await,
        Place::Space { domain, name } => {
            let asked = aws.sagemaker.delete_space().domain_id(domain).space_name(name).send().await;
            asked.map(|_| "deleting").map_err(|error| fault::tell(&doing, &error))
        }
        Place::Domain(_) | Place::Profile { .. } => Err(Failure::new(
            FailureKind::Refused,
            format!("footplate does not delete {place}: with it go the home folders of people"),
            "delete domains and user profiles in the AWS console",
        )),
    }
}

async fn delete_app(aws: &Aws, place: &Place, app: &App) -> Result<&'static str, Failure> {
    let call = aws.sagemaker.delete_app().domain_id(&app.domain).app_type(app.kind.as_str().into()).app_name(&app.name);
    let call = if app.in_space { call.space_name(&app.owner) } else { call.user_profile_name(&app.owner) };
    let asked = call.send().await;
    asked.map(|_| "deleting").map_err(|error| fault::tell(&format!("deleting {place}"), &error))
}

/// An address to open. It lets in whoever has it: it goes into the outcome and nowhere else.
async fn open(aws: &Aws, place: &Place) -> Result<Outcome, Failure> {
    let doing = format!("asking for an address of {place}");
    let url = if let Place::Notebook(name) = place {
        let call = aws.sagemaker.create_presigned_notebook_instance_url().notebook_instance_name(name);
        let made = call.send().await.map_err(|error| match fault::tell(&doing, &error) {
            failure if failure.kind == FailureKind::Invalid => {
                let start = command(&format!("start notebooks {place}"));
                let hint = format!("it can be opened while it is in service; start it: S, or {start}");
                Failure::new(failure.kind, failure.what, hint)
            }
            failure => failure,
        })?;
        made.authorized_url
    } else {
        let (domain, profile, space) = whose(aws, place).await?;
        let call = aws.sagemaker.create_presigned_domain_url().domain_id(domain).user_profile_name(profile);
        let call = call.set_space_name(space).expires_in_seconds(HOLDS).session_expiration_duration_in_seconds(SESSION);
        call.send().await.map_err(|error| fault::tell(&doing, &error))?.authorized_url
    };
    let Some(url) = url.filter(|url| url.starts_with("https://") || (aws.mode() == Mode::Local && url.starts_with("http://")))
    else {
        return Err(Failure::new(FailureKind::Service, format!("{doing}: the answer has no address in it"), ""));
    };
    // AWS says of both kinds: five minutes by default; Studio's is asked to hold for one.
    let minutes = if matches!(place, Place::Notebook(_)) { "5 min" } else { "1 min" };
    Ok(Outcome::Link { url: Safe::line(&url), said: Safe::line(&format!("Open {place} in your browser, within {minutes}")) })
}

/// Domain, user profile and space that an address of Studio is for.
async fn whose(aws: &Aws, place: &Place) -> Result<(String, String, Option<String>), Failure> {
    match place {
        Place::Profile { domain, name } => Ok((domain.clone(), name.clone(), None)),
        Place::App(App { domain, in_space: false, owner, .. }) => Ok((domain.clone(), owner.clone(), None)),
        Place::Space { domain, name } | Place::App(App { domain, in_space: true, owner: name, .. }) => {
            let asked = aws.sagemaker.describe_space().domain_id(domain).space_name(name).send().await;
            let space = asked.map_err(|error| fault::tell(&format!("looking at the space {name}"), &error))?;
            let owner = space.ownership_settings().and_then(|owner| owner.owner_user_profile_name());
            match owner {
                Some(owner) => Ok((domain.clone(), owner.to_owned(), Some(name.clone()))),
                None => Err(invalid(format!("the space {name} has no owner to open it as"), "open a user profile of its domain")),
            }
        }
        Place::Domain(id) => {
            let call = aws.sagemaker.list_user_profiles().domain_id_equals(id).max_results(2).send().await;
            let found = call.map_err(|error| fault::tell("listing Studio user profiles", &error))?;
            match found.user_profiles() {
                [one] => Ok((id.clone(), one.user_profile_name().unwrap_or_default().to_owned(), None)),
                _ => Err(invalid(
                    format!("{place} is opened as one of its user profiles"),
                    "select the user profile and open that",
                )),
            }
        }
        Place::Notebook(_) => Err(invalid(format!("{place} is not in Studio"), "")),
    }
}
