//! Everything about one of them.

use aws_sdk_sagemaker::types::{AppNetworkAccessType, AppType, AuthMode, DirectInternetAccess, RootAccess, SharingType};

use super::list::hourly;
use super::place::{App, Place};
use super::{phase, place};
use crate::aws::{Aws, Mode, fault, price, time};
use crate::model::{Block, Cell, Detail, Failure, ItemId, Safe, State, show};

/// Rows of facts, in order; what AWS does not say is left out.
#[derive(Default)]
struct Facts(Vec<(Safe, Cell)>);

impl Facts {
    fn text(&mut self, name: &str, value: Option<&str>) {
        self.0.extend(value.filter(|value| !value.is_empty()).map(|value| (name.into(), Cell::Text(Safe::line(value)))));
    }

    fn time(&mut self, name: &str, at: Option<&aws_sdk_sagemaker::primitives::DateTime>) {
        self.0.extend(at.map(|at| (name.into(), Cell::Time(time::ours(at)))));
    }

    fn price(&mut self, aws: &Aws, per_hour: Option<f64>, source: Option<&str>) {
        let free = if aws.mode() == Mode::Local { " on AWS · free here" } else { "" };
        let said = match (per_hour, source) {
            (Some(rate), Some(source)) => format!("{}/h{free} ({source})", show::money(rate)),
            (Some(rate), None) => format!("{}/h{free}", show::money(rate)),
            (None, _) => format!("not known in {}", aws.region()),
        };
        self.text("price", Some(&said));
    }
}

/// What `Describe…` says of it.
pub(super) async fn detail(aws: &Aws, id: &ItemId) -> Result<Detail, Failure> {
    let place = place(id)?;
    let (title, status, facts, failed) = match &place {
        Place::Notebook(name) => notebook(aws, name).await?,
        Place::Domain(id) => domain(aws, id).await?,
        Place::Profile { domain, name } => profile(aws, domain, name).await?,
        Place::Space { domain, name } => space(aws, domain, name).await?,
        Place::App(of) => app(aws, of).await?,
    };
    let runs = matches!(place, Place::Notebook(_) | Place::App(_));
    let state = State { phase: phase(&status, runs), word: Safe::line(&status) };
    let mut blocks = vec![Block::Facts { title: title.into(), facts: facts.0 }];
    blocks.extend(
        failed.filter(|why| !why.is_empty()).map(|why| Block::Text { title: "why it failed".into(), text: Safe::text(&why) }),
    );
    Ok(Detail { id: id.clone(), state, blocks, metrics: Vec::new(), log: false })
}

/// Title, status, facts, and why it failed.
type Told = (&'static str, String, Facts, Option<String>);

async fn notebook(aws: &Aws, name: &str) -> Result<Told, Failure> {
    let asked = aws.sagemaker.describe_notebook_instance().notebook_instance_name(name).send().await;
    let it = asked.map_err(|error| fault::tell(&format!("looking at the notebook instance {name}"), &error))?;
    let mut facts = Facts::default();
    let instance_type = it.instance_type().map_or("", |kind| kind.as_str());
    facts.text("type", Some(instance_type));
    let price = price::notebook(aws.region(), instance_type);
    let source = price.map(|price| format!("{}, {}", price.source, price.date));
    facts.price(aws, price.map(|price| price.per_hour), source.as_deref());
    facts.text("volume", it.volume_size_in_gb().map(|size| format!("{size} GB")).as_deref());
    facts.time("created", it.creation_time());
    facts.time("changed", it.last_modified_time());
    facts.text("role", it.role_arn());
    facts.text("platform", it.platform_identifier());
    facts.text("internet", it.direct_internet_access().map(DirectInternetAccess::as_str));
    facts.text("root access", it.root_access().map(RootAccess::as_str));
    facts.text("subnet", it.subnet_id());
    facts.text("lifecycle", it.notebook_instance_lifecycle_config_name());
    facts.text("repository", it.default_code_repository());
    facts.text("arn", it.notebook_instance_arn());
    let status = it.notebook_instance_status().map_or("", |status| status.as_str()).to_owned();
    Ok(("notebook instance", status, facts, it.failure_reason))
}

async fn domain(aws: &Aws, id: &str) -> Result<Told, Failure> {
    let asked = aws.sagemaker.describe_domain().domain_id(id).send().await;
    let it = asked.map_err(|error| fault::tell(&format!("looking at the Studio domain {id}"), &error))?;
    let mut facts = Facts::default();
    facts.text("name", it.domain_name());
    facts.text("id", it.domain_id());
    facts.text("sign-in", it.auth_mode().map(AuthMode::as_str));
    facts.text("network", it.app_network_access_type().map(AppNetworkAccessType::as_str));
    facts.text("vpc", it.vpc_id());
    facts.text("role", it.default_user_settings().and_then(|settings| settings.execution_role()));
    facts.text("home folders", it.home_efs_file_system_id());
    facts.time("created", it.creation_time());
    facts.time("changed", it.last_modified_time());
    facts.text("arn", it.domain_arn());
    let status = it.status().map_or("", |status| status.as_str()).to_owned();
    Ok(("Studio domain", status, facts, it.failure_reason))
}

async fn profile(aws: &Aws, domain: &str, name: &str) -> Result<Told, Failure> {
    let asked = aws.sagemaker.describe_user_profile().domain_id(domain).user_profile_name(name).send().await;
    let it = asked.map_err(|error| fault::tell(&format!("looking at the user profile {name}"), &error))?;
    let mut facts = Facts::default();
    facts.text("name", it.user_profile_name());
    facts.text("domain", it.domain_id());
    facts.text("role", it.user_settings().and_then(|settings| settings.execution_role()));
    facts.text("signs in as", it.single_sign_on_user_value());
    facts.time("created", it.creation_time());
    facts.time("changed", it.last_modified_time());
    facts.text("arn", it.user_profile_arn());
    let status = it.status().map_or("", |status| status.as_str()).to_owned();
    Ok(("user profile", status, facts, it.failure_reason))
}

async fn space(aws: &Aws, domain: &str, name: &str) -> Result<Told, Failure> {
    let asked = aws.sagemaker.describe_space().domain_id(domain).space_name(name).send().await;
    let it = asked.map_err(|error| fault::tell(&format!("looking at the space {name}"), &error))?;
    let mut facts = Facts::default();
    facts.text("name", it.space_name());
    facts.text("shown as", it.space_display_name());
    facts.text("domain", it.domain_id());
    facts.text("owner", it.ownership_settings().and_then(|owner| owner.owner_user_profile_name()));
    facts.text("sharing", it.space_sharing_settings().and_then(|sharing| sharing.sharing_type()).map(SharingType::as_str));
    let settings = it.space_settings();
    facts.text("app", settings.and_then(|settings| settings.app_type()).map(AppType::as_str));
    let storage =
        settings.and_then(|settings| settings.space_storage_settings()).and_then(|storage| storage.ebs_storage_settings());
    let size = storage.and_then(aws_sdk_sagemaker::types::EbsStorageSettings::ebs_volume_size_in_gb);
    facts.text("storage", size.map(|size| format!("{size} GB")).as_deref());
    facts.time("created", it.creation_time());
    facts.time("changed", it.last_modified_time());
    facts.text("arn", it.space_arn());
    let status = it.status().map_or("", |status| status.as_str()).to_owned();
    Ok(("space", status, facts, it.failure_reason))
}

async fn app(aws: &Aws, of: &App) -> Result<Told, Failure> {
    let call = aws.sagemaker.describe_app().domain_id(&of.domain).app_type(of.kind.as_str().into()).app_name(&of.name);
    let call = if of.in_space { call.space_name(&of.owner) } else { call.user_profile_name(&of.owner) };
    let it = call.send().await.map_err(|error| fault::tell(&format!("looking at the app {}", of.name), &error))?;
    let mut facts = Facts::default();
    facts.text("app", it.app_type().map(AppType::as_str));
    facts.text("name", it.app_name());
    facts.text(if of.in_space { "space" } else { "profile" }, Some(&of.owner));
    facts.text("domain", it.domain_id());
    let spec = it.resource_spec();
    let instance_type = spec.and_then(|spec| spec.instance_type()).map_or("", |kind| kind.as_str());
    facts.text("type", Some(instance_type));
    let table = price::jupyter_lab(aws.region(), instance_type).filter(|_| of.kind == "JupyterLab");
    let source = table.map(|price| format!("{}, {}", price.source, price.date));
    facts.price(aws, hourly(aws.region(), &of.kind, instance_type), source.as_deref());
    facts.text("image", spec.and_then(|spec| spec.sage_maker_image_arn()));
    facts.time("created", it.creation_time());
    facts.time("last used", it.last_user_activity_timestamp());
    facts.text("arn", it.app_arn());
    let status = it.status().map_or("", |status| status.as_str()).to_owned();
    Ok(("Studio app", status, facts, it.failure_reason))
}
