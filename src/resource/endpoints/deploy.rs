//! From a model to an endpoint that is known to work: repack, model, configuration, endpoint, wait, smoke test.

use aws_sdk_sagemaker::operation::create_endpoint::builders::CreateEndpointFluentBuilder;
use aws_sdk_sagemaker::operation::create_endpoint_config::builders::CreateEndpointConfigFluentBuilder;
use aws_sdk_sagemaker::types::{ProductionVariant, ProductionVariantInstanceType};
use jiff::Timestamp;
use serde_json::json;

use super::check::{check, more_variants};
use super::draft::{Draft, base};
use super::made::{Made, Thing, make};
use super::{invoke, trace, wait};
use crate::aws::repack::Repacked;
use crate::aws::script_mode::{Capture, names};
use crate::aws::spending::{self, Use};
use crate::aws::{Aws, fault, hosting};
use crate::model::{Failure, FailureKind, Form, ItemId, Outcome, Phase, Preview, Problem, Progress, Recipe, Safe, command};
use crate::resource::lint;
use crate::resource::staging::{self, invalid};

/// A deployment, worked out but with nothing sent.
struct Plan {
    endpoint: String,
    config: String,
    model: Draft,
    variants: Vec<ProductionVariant>,
    tags: Vec<(String, String)>,
}

/// A production variant with a weight and so many instances.
pub(super) fn variant(name: &str, model: &str, kind: &str, count: i32, weight: f32) -> ProductionVariant {
    ProductionVariant::builder()
        .variant_name(name)
        .model_name(model)
        .initial_instance_count(count)
        .instance_type(ProductionVariantInstanceType::from(kind))
        .initial_variant_weight(weight)
        .build()
}

async fn plan(aws: &Aws, recipe: &Recipe, form: &Form) -> Result<Plan, Failure> {
    let endpoint = form.value("name").to_owned();
    let model = Draft::of(aws, recipe, form, &endpoint).await?;
    let count = count(form)?;
    let kind = form.value("instance_type");
    let mut variants = vec![variant(super::VARIANT, &model.name, kind, count, 1.0)];
    for more in more_variants(form) {
        let (name, model, weight) = more.map_err(|message| invalid(&format!("variants: {message}"), ""))?;
        variants.push(variant(&name, &model, kind, count, weight));
    }
    Ok(Plan {
        config: names::job_name(super::draft::stem(&endpoint), Timestamp::now()),
        tags: tags(recipe, &endpoint),
        endpoint,
        model,
        variants,
    })
}

/// The tags of all that is made for an endpoint.
pub(super) fn tags(recipe: &Recipe, endpoint: &str) -> Vec<(String, String)> {
    let mut tags = staging::tags(recipe, &base(recipe), &[]);
    tags.push((hosting::ENDPOINT.to_owned(), endpoint.to_owned()));
    tags
}

pub(super) fn count(form: &Form) -> Result<i32, Failure> {
    form.value("instance_count").trim().parse().map_err(|_| invalid("instance_count: not a whole number", ""))
}

impl Plan {
    fn config(&self, aws: &Aws) -> CreateEndpointConfigFluentBuilder {
        let call = aws.sagemaker.create_endpoint_config().endpoint_config_name(&self.config);
        call.set_production_variants(Some(self.variants.clone())).set_tags(Some(hosting::sent(&self.tags)))
    }

    fn endpoint(&self, aws: &Aws) -> CreateEndpointFluentBuilder {
        let mut tags = self.tags.clone();
        // It would be its own.
        tags.retain(|(key, _)| key != hosting::ENDPOINT);
        tags.push((hosting::MODEL.to_owned(), self.model.name.clone()));
        let call = aws.sagemaker.create_endpoint().endpoint_name(&self.endpoint).endpoint_config_name(&self.config);
        call.set_tags(Some(hosting::sent(&tags)))
    }

    /// The three requests as they would leave; nothing leaves.
    async fn json(&self, aws: &Aws) -> String {
        let (config, endpoint) = (Capture::default(), Capture::default());
        // The captures stop the calls before they are signed, so these are always errors.
        let _ = self.config(aws).customize().interceptor(config.clone()).send().await;
        let _ = self.endpoint(aws).customize().interceptor(endpoint.clone()).send().await;
        let all = json!({"CreateModel": self.model.json(aws, &self.tags).await, "CreateEndpointConfig": config.json(), "CreateEndpoint": endpoint.json()});
        serde_json::to_string_pretty(&all).unwrap_or_default()
    }
}

/// Looks at everything, changes nothing; what cannot be worked out becomes a problem.
pub(super) async fn preview(aws: &Aws, recipe: &Recipe, form: &Form) -> Preview {
    let mut preview = Preview { problems: check(form), ..Preview::default() };
    if !preview.problems.is_empty() {
        return preview;
    }
    let plan = match plan(aws, recipe, form).await {
        Ok(plan) => plan,
        Err(failure) => {
            preview.problems.push(problem(form, &failure));
            return preview;
        }
    };
    let mut fact = |name: &str, value: String| preview.facts.push((name.into(), Safe::line(&value)));
    fact("name", plan.endpoint.clone());
    fact("model", form.value("model").to_owned());
    let instances = count(form).unwrap_or(1);
    let all = instances.saturating_mul(i32::try_from(plan.variants.len()).unwrap_or(1));
    fact("instances", format!("{all} × {}", form.value("instance_type")));
    let spending = spending::look(aws, Use::Endpoint, form.value("instance_type"), all, None).await;
    preview.facts.extend(spending.facts);
    preview.facts.extend(plan.model.facts());
    preview.facts.extend(spending.source.map(|source| ("prices".into(), source)));
    (preview.per_hour, preview.quota, preview.more) = (spending.per_hour, spending.quota, spending.more);
    preview.problems.extend(spending.problems);
    preview.problems.extend(lint::of_serving(aws, recipe, &plan.model.python, form.value("entry_point")).await);
    preview.problems.extend(smoke_problems(recipe, form));
    preview.request = Safe::text(&plan.json(aws).await);
    if hosting::missing(hosting::endpoint(aws, &plan.endpoint).await).is_ok_and(|found| found.is_some()) {
        let message =
            Safe::line(&format!("there is an endpoint {} already; update that one, or choose another name", plan.endpoint));
        preview.problems.push(Problem { field: "name".to_owned(), message, fatal: true });
    }
    preview
}

/// Whether there will be a smoke test, and whether it can be sent.
pub(super) fn smoke_problems(recipe: &Recipe, form: &Form) -> Option<Problem> {
    let file = form.value("smoke_test");
    let problem = |message: String, fatal| Problem { field: "smoke_test".to_owned(), message: Safe::line(&message), fatal };
    if file.is_empty() {
        let why = "without a file to send once, nobody knows whether the endpoint works when it is InService";
        return Some(problem(why.to_owned(), false));
    }
    match std::fs::metadata(recipe.root.join(file)) {
        Ok(found) if found.len() > invoke::LIMIT => {
            Some(problem(format!("{file} has {} bytes; an endpoint takes {} at most", found.len(), invoke::LIMIT), true))
        }
        Ok(_) => None,
        Err(error) => Some(problem(format!("{file} cannot be read: {error}"), true)),
    }
}

/// A failure as a problem of the field that it is about, whose name it begins with.
pub(super) fn problem(form: &Form, failure: &Failure) -> Problem {
    let (field, message) = match failure.what.as_str().split_once(": ") {
        Some((name, rest)) if form.fields.iter().any(|field| field.name == name) => (name, rest),
        _ => ("", failure.what.as_str()),
    };
    let message = if failure.hint.is_empty() { message.to_owned() } else { format!("{message}; {}", failure.hint) };
    Problem { field: field.to_owned(), message: Safe::text(&message), fatal: true }
}

/// Deploys.
pub(super) async fn deploy(
    aws: &Aws,
    recipe: &Recipe,
    form: &Form,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Outcome, Failure> {
    staging::sound(check(form))?;
    let plan = plan(aws, recipe, form).await?;
    if hosting::missing(hosting::endpoint(aws, &plan.endpoint).await)?.is_some() {
        let what = format!("name: there is an endpoint {} already", plan.endpoint);
        return Err(Failure::new(FailureKind::Conflict, what, "update that one, or choose another name"));
    }
    let served = plan.model.pack(aws, progress).await?;
    let mut made = Made::with(&served);
    if let Err(failure) = create(aws, &plan, &served, &mut made, progress).await {
        return Err(made.take_back(aws, failure).await);
    }
    let name = plan.endpoint;
    let id = ItemId(name.clone());
    if form.value("wait") == "no" {
        return Ok(Outcome::Made { id, said: Safe::line(&format!("creating {name}")) });
    }
    in_service(aws, &name, progress).await?;
    let said = smoke(aws, recipe, form, &name, progress).await?;
    Ok(Outcome::Made { id, said: Safe::line(&format!("{name} is in service; {said}")) })
}

async fn create(
    aws: &Aws,
    plan: &Plan,
    served: &Repacked,
    made: &mut Made,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), Failure> {
    let told = |said: &str| progress(Progress { said: Safe::line(said), done: 0, total: 0 });
    told("creating the model");
    create_model(aws, &plan.model, served, &plan.tags).await?;
    made.model = Some(plan.model.name.clone());
    told("creating the configuration");
    make(aws, Thing::Config, &plan.config, &|| {
        Box::pin(async move {
            let sent = plan.config(aws).send().await;
            sent.map(drop).map_err(|error| fault::tell("creating the configuration", &error))
        })
    })
    .await?;
    made.config = Some(plan.config.clone());
    told("creating the endpoint");
    make(aws, Thing::Endpoint, &plan.endpoint, &|| {
        Box::pin(async move {
            let sent = plan.endpoint(aws).send().await;
            sent.map(drop).map_err(|error| fault::tell(&format!("creating endpoint {}", plan.endpoint), &error))
        })
    })
    .await
}

/// Makes the model.
pub(super) async fn create_model(aws: &Aws, model: &Draft, served: &Repacked, tags: &[(String, String)]) -> Result<(), Failure> {
    make(aws, Thing::Model, &model.name, &|| {
        Box::pin(async move {
            let sent = model.request(aws, served, tags).send().await;
            sent.map(drop).map_err(|error| fault::tell("creating the model", &error))
        })
    })
    .await
}

/// Waits until it is in service.
///
/// # Errors
/// Why it is not, with the container's own words.
pub(super) async fn in_service(aws: &Aws, name: &str, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<(), Failure> {
    let Some(endpoint) = wait::settled(aws, name, progress).await? else {
        return Err(Failure::new(FailureKind::NotFound, format!("{name} has been deleted meanwhile"), ""));
    };
    let state = super::list::state_of(&endpoint);
    if state.phase == Phase::Active {
        return Ok(());
    }
    let reason = endpoint.failure_reason().unwrap_or("no reason was given");
    let mut what = format!("{name} is {}: {reason}", state.word);
    if let Some(trace) = trace::last(aws, name, None).await {
        what = format!("{what}\n\nfrom its log:\n{trace}");
    }
    let hint = format!(
        "read its log ({}), then delete it ({})",
        command(&format!("logs endpoints {name}")),
        command(&format!("delete endpoints {name}"))
    );
    Err(Failure::new(FailureKind::Service, what, hint))
}

/// Sends the smoke test and says what came of it.
///
/// # Errors
/// When the endpoint does not answer it as it should.
pub(super) async fn smoke(
    aws: &Aws,
    recipe: &Recipe,
    form: &Form,
    name: &str,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<String, Failure> {
    let file = form.value("smoke_test").to_owned();
    if file.is_empty() {
        return Ok("nothing was sent to it yet".to_owned());
    }
    progress(Progress { said: Safe::line("smoke test"), done: 0, total: 0 });
    let mut asked = super::form::invoke(recipe, &ItemId(name.to_owned()));
    for field in &mut asked.fields {
        match field.name.as_ref() {
            "body" => field.value.clone_from(&file),
            "text" => field.value.clear(),
            _ => {}
        }
    }
    let request = invoke::request(recipe, &asked)?;
    match invoke::call(aws, recipe, name, &request).await {
        Ok(answered) => {
            let took = super::calls::millis(answered.millis);
            Ok(match answered.class() {
                Some(class) => format!("the smoke test says {class} ({took})"),
                None => format!("it answered the smoke test in {took}"),
            })
        }
        Err(failure) => Err(Failure::new(
            failure.kind,
            format!("{name} is in service but does not work: it failed the smoke test {file}.\n{}", failure.what),
            format!("{}; it costs money until it is deleted", failure.hint),
        )),
    }
}
