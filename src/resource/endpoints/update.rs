//! Changing an endpoint that serves: another model or type by a new configuration, another count in place.

use std::collections::BTreeMap;

use aws_sdk_sagemaker::operation::create_endpoint_config::builders::CreateEndpointConfigFluentBuilder;
use aws_sdk_sagemaker::operation::describe_endpoint::DescribeEndpointOutput;
use aws_sdk_sagemaker::operation::describe_endpoint_config::DescribeEndpointConfigOutput;
use aws_sdk_sagemaker::operation::update_endpoint_weights_and_capacities::builders::UpdateEndpointWeightsAndCapacitiesFluentBuilder;
use aws_sdk_sagemaker::types::{
    DesiredWeightAndCapacity, ProductionVariant, ProductionVariantInstanceType, ProductionVariantSummary, Tag,
};
use jiff::Timestamp;
use serde_json::json;

use super::check::check;
use super::delete::{archives, sweep_order};
use super::deploy::{count, create_model, in_service, problem, smoke, smoke_problems, tags};
use super::draft::{Draft, stem};
use super::made::{Made, Thing, make};
use crate::aws::script_mode::{Capture, names};
use crate::aws::spending::{self, Use};
use crate::aws::{Aws, fault, hosting};
use crate::model::{Failure, FailureKind, Form, ItemId, Outcome, Preview, Problem, Progress, Recipe, Safe};
use crate::resource::staging::{self, invalid};

/// What is there, and what of it is to change.
struct Change {
    endpoint: DescribeEndpointOutput,
    config: DescribeEndpointConfigOutput,
    variant: String,
    model: bool,
    kind: bool,
    count: bool,
}

async fn change(aws: &Aws, form: &Form) -> Result<Change, Failure> {
    let id = form.parent.clone().unwrap_or_else(|| ItemId(String::new()));
    let endpoint = hosting::endpoint(aws, id.as_str()).await?;
    let config_name = endpoint.endpoint_config_name().unwrap_or_default();
    let config =
        hosting::missing(hosting::config(aws, config_name).await)?.ok_or_else(|| super::form::config_gone(&id, config_name))?;
    let variant = form.value("variant").to_owned();
    let known = config.production_variants().iter().find(|known| known.variant_name() == Some(variant.as_str()));
    let Some(known) = known else { return Err(invalid(&format!("variant: {} has no variant '{variant}'", id.as_str()), "")) };
    let (_, running) = running(&endpoint, known);
    let kind = known.instance_type().map_or("", |kind| kind.as_str()) != form.value("instance_type");
    let count = running != count(form)?;
    Ok(Change { kind, count, model: !form.value("model").is_empty(), variant, endpoint, config })
}

/// Weight and instances that a variant has now, which need not be those that it was made with.
fn running(endpoint: &DescribeEndpointOutput, variant: &ProductionVariant) -> (Option<f32>, i32) {
    let now = endpoint.production_variants().iter().find(|now| now.variant_name() == variant.variant_name());
    let count = now.and_then(ProductionVariantSummary::desired_instance_count).or(variant.initial_instance_count()).unwrap_or(1);
    (now.and_then(ProductionVariantSummary::desired_weight).or(variant.initial_variant_weight()), count)
}

/// What would happen.
pub(super) async fn preview(aws: &Aws, recipe: &Recipe, form: &Form) -> Preview {
    let mut preview = Preview { problems: check(form), ..Preview::default() };
    if !preview.problems.is_empty() {
        return preview;
    }
    if let Err(failure) = look(aws, recipe, form, &mut preview).await {
        preview.problems.push(problem(form, &failure));
    }
    preview
}

async fn look(aws: &Aws, recipe: &Recipe, form: &Form, preview: &mut Preview) -> Result<(), Failure> {
    let change = change(aws, form).await?;
    let name = change.endpoint.endpoint_name().unwrap_or_default();
    let mut requests = serde_json::Map::new();
    preview.facts.push(("endpoint".into(), Safe::line(name)));
    let instances = count(form)?;
    preview.facts.push(("instances".into(), Safe::line(&format!("{instances} × {}", form.value("instance_type")))));
    let spending = spending::look(aws, Use::Endpoint, form.value("instance_type"), instances, None).await;
    preview.facts.extend(spending.facts);
    (preview.per_hour, preview.quota) = (spending.per_hour, spending.quota);
    preview.problems.extend(spending.problems);
    let (tags, capture) = (tags(recipe, name), Capture::default());
    let draft = if change.model { Some(Draft::of(aws, recipe, form, name).await?) } else { None };
    if let Some(draft) = &draft {
        preview.facts.extend(draft.facts());
        preview.problems.extend(smoke_problems(recipe, form));
        requests.insert("CreateModel".to_owned(), draft.json(aws, &tags).await);
    }
    if change.model || change.kind {
        let config = names::job_name(stem(name), Timestamp::now());
        let variants = variants(form, &change, draft.as_ref().map(|draft| draft.name.as_str()))?;
        // The capture stops the call before it is signed, so this is always an error.
        let _ = new_config(aws, &change, &config, &variants, &tags).customize().interceptor(capture.clone()).send().await;
        requests.insert("CreateEndpointConfig".to_owned(), capture.json());
        requests.insert("UpdateEndpoint".to_owned(), json!({"EndpointName": name, "EndpointConfigName": config}));
    } else if change.count {
        let _ = scaled(aws, name, &change.variant, instances).customize().interceptor(capture.clone()).send().await;
        requests.insert("UpdateEndpointWeightsAndCapacities".to_owned(), capture.json());
    }
    preview.request = Safe::text(&serde_json::to_string_pretty(&requests).unwrap_or_default());
    let how = match (change.model || change.kind, change.count) {
        (true, _) => "a new configuration; new instances come up beside the old ones",
        (false, true) => "in place; instances that stay go on",
        (false, false) => {
            let message = "nothing is changed yet: give a model, another type or another number of instances".into();
            preview.problems.push(Problem { field: String::new(), message, fatal: false });
            "nothing changes"
        }
    };
    preview.facts.push(("how".into(), how.into()));
    Ok(())
}

/// Updates, waits, and asks about what the endpoint has no use for any more.
pub(super) async fn update(
    aws: &Aws,
    recipe: &Recipe,
    form: &Form,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Outcome, Failure> {
    staging::sound(check(form))?;
    let change = change(aws, form).await?;
    let name = change.endpoint.endpoint_name().unwrap_or_default().to_owned();
    if !change.model && !change.kind {
        if !change.count {
            return Err(invalid("nothing is changed", "give a model, another type or another number of instances"));
        }
        return scale(aws, &name, &change.variant, count(form)?, progress).await;
    }
    let draft = if change.model { Some(Draft::of(aws, recipe, form, &name).await?) } else { None };
    let config = names::job_name(stem(&name), Timestamp::now());
    let tags = tags(recipe, &name);
    let mut made = Made::default();
    if let Some(draft) = &draft {
        let served = draft.pack(aws, progress).await?;
        made = Made::with(&served);
        if let Err(failure) = create_model(aws, draft, &served, &tags).await {
            return Err(made.take_back(aws, failure).await);
        }
        made.model = Some(draft.name.clone());
    }
    let model = draft.as_ref().map(|draft| draft.name.as_str());
    if let Err(failure) = switch(aws, form, &change, &config, model, &tags, &mut made).await {
        return Err(made.take_back(aws, failure).await);
    }
    in_service(aws, &name, progress).await?;
    let now = hosting::endpoint(aws, &name).await?;
    if now.endpoint_config_name() != Some(config.as_str()) {
        // The new instances failed; the service has gone back to the old ones.
        let reason = now.failure_reason().unwrap_or("no reason was given");
        let failure = Failure::new(
            FailureKind::Refused,
            format!("{name} could not be updated and serves as before: {reason}"),
            "its log tells more",
        );
        return Err(made.take_back(aws, failure).await);
    }
    if let Some(model) = model {
        note(aws, now.endpoint_arn().unwrap_or_default(), model).await?;
    }
    let said = smoke(aws, recipe, form, &name, progress).await?;
    let said = format!("{name} is updated; {said}");
    Ok(afterwards(aws, &change, model.is_some(), &said).await)
}

/// For the day when its configuration is deleted under it. Overwrites the tag.
async fn note(aws: &Aws, arn: &str, model: &str) -> Result<(), Failure> {
    let tag = Tag::builder().key(hosting::MODEL).value(model).build();
    let noted = aws.sagemaker.add_tags().resource_arn(arn).tags(tag).send().await;
    noted.map(drop).map_err(|error| fault::tell("tagging the endpoint", &error))
}

/// Another number of instances: those that stay are not started anew.
async fn scale(
    aws: &Aws,
    name: &str,
    variant: &str,
    count: i32,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Outcome, Failure> {
    let sent = scaled(aws, name, variant, count).send().await;
    sent.map_err(|error| fault::tell(&format!("scaling {name}"), &error))?;
    in_service(aws, name, progress).await?;
    let now = hosting::endpoint(aws, name).await?;
    let running = now.production_variants().iter().find(|now| now.variant_name() == Some(variant));
    let running = running.and_then(ProductionVariantSummary::current_instance_count).unwrap_or(count);
    if running != count {
        let reason = now.failure_reason().unwrap_or("no reason was given");
        let what = format!("{name} runs on {running} instances, not on {count}: {reason}");
        return Err(Failure::new(FailureKind::Service, what, "its log tells more"));
    }
    let instances = if count == 1 { "1 instance".to_owned() } else { format!("{count} instances") };
    Ok(Outcome::Said(Safe::line(&format!("{name} runs on {instances}"))))
}

fn scaled(aws: &Aws, name: &str, variant: &str, count: i32) -> UpdateEndpointWeightsAndCapacitiesFluentBuilder {
    let wanted = DesiredWeightAndCapacity::builder().variant_name(variant).desired_instance_count(count).build();
    let call = aws.sagemaker.update_endpoint_weights_and_capacities().endpoint_name(name);
    call.desired_weights_and_capacities(wanted)
}

/// Makes the configuration with the change in it, and has the endpoint take it.
async fn switch(
    aws: &Aws,
    form: &Form,
    change: &Change,
    config: &str,
    model: Option<&str>,
    tags: &[(String, String)],
    made: &mut Made,
) -> Result<(), Failure> {
    let variants = variants(form, change, model)?;
    make(aws, Thing::Config, config, &|| {
        let call = new_config(aws, change, config, &variants, tags);
        Box::pin(async move { call.send().await.map(drop).map_err(|error| fault::tell("creating the configuration", &error)) })
    })
    .await?;
    made.config = Some(config.to_owned());
    let name = change.endpoint.endpoint_name().unwrap_or_default();
    let sent = aws.sagemaker.update_endpoint().endpoint_name(name).endpoint_config_name(config).send().await;
    sent.map(drop).map_err(|error| fault::tell(&format!("updating {name}"), &error))
}

/// The variants as they run now, with the change in one of them.
fn variants(form: &Form, change: &Change, model: Option<&str>) -> Result<Vec<ProductionVariant>, Failure> {
    let instances = count(form)?;
    let changed = change.config.production_variants().iter().map(|old| {
        let mut new = old.clone();
        let (weight, count) = running(&change.endpoint, old);
        new.initial_variant_weight = weight;
        // A serverless variant has none.
        new.initial_instance_count = old.initial_instance_count.map(|_| count);
        if new.variant_name() == Some(change.variant.as_str()) {
            new.initial_instance_count = Some(instances);
            new.instance_type = Some(ProductionVariantInstanceType::from(form.value("instance_type")));
            new.model_name = model.map(str::to_owned).or(new.model_name);
        }
        new
    });
    Ok(changed.collect())
}

/// The new configuration; all that the form does not speak of is as the old one had it.
fn new_config(
    aws: &Aws,
    change: &Change,
    name: &str,
    variants: &[ProductionVariant],
    tags: &[(String, String)],
) -> CreateEndpointConfigFluentBuilder {
    let old = &change.config;
    let call = aws.sagemaker.create_endpoint_config().endpoint_config_name(name);
    let call = call.set_production_variants(Some(variants.to_vec())).set_tags(Some(hosting::sent(tags)));
    call.set_data_capture_config(old.data_capture_config.clone())
        .set_kms_key_id(old.kms_key_id.clone().filter(|key| !key.is_empty()))
        .set_async_inference_config(old.async_inference_config.clone())
        .set_explainer_config(old.explainer_config.clone())
        .set_shadow_production_variants(old.shadow_production_variants.clone())
        .set_execution_role_arn(old.execution_role_arn.clone())
        .set_vpc_config(old.vpc_config.clone())
        .set_enable_network_isolation(old.enable_network_isolation)
}

/// The old configuration, and the old model if it was replaced: of no use any more, unless another endpoint has them.
async fn afterwards(aws: &Aws, change: &Change, replaced: bool, said: &str) -> Outcome {
    let said = Safe::line(said);
    let old = change.config.endpoint_config_name().unwrap_or_default();
    // That this cannot be looked up is no reason to call the update failed.
    let Ok(used) = hosting::used(aws, &[]).await else { return Outcome::Said(said) };
    let mut lines = Vec::new();
    if !used.iter().any(|used| used.config == old) {
        lines.push(format!("configuration {old}"));
    }
    if replaced {
        let models = hosting::models_in(&change.config);
        let free = models.iter().filter(|model| !used.iter().any(|used| used.models.contains(model)));
        let mut arns = BTreeMap::new();
        for model in free {
            if let Ok(found) = hosting::model(aws, model).await {
                arns.insert(model.clone(), found.model_arn.unwrap_or_default());
            }
        }
        lines.extend(arns.keys().map(|model| format!("model {model}")));
        lines.extend(archives(aws, arns.iter(), &used).await.unwrap_or_default());
    }
    if lines.is_empty() {
        return Outcome::Said(said);
    }
    let question = "Delete what it no longer uses?".into();
    Outcome::Then {
        said,
        question,
        lines: lines.iter().map(|line| Safe::line(line)).collect(),
        order: Box::new(sweep_order(&lines)),
    }
}
