//! The forms: deploy, invoke, update.

use std::borrow::Cow;

use aws_sdk_sagemaker::types::ProductionVariantSummary;
use jiff::Timestamp;

use super::model::{self, Origin};
use crate::aws::script_mode::names;
use crate::aws::{Aws, hosting, instance_types};
use crate::model::{EndpointRecipe, Failure, FailureKind, Field, FieldKind, Form, ItemId, Recipe, Safe, Verb};

/// Media types that models are usually asked in (`aws.md`: what the default handlers and the reference project know).
const CONTENT_TYPES: [&str; 6] =
    ["application/json", "image/jpeg", "image/png", "text/csv", "application/x-npy", "application/octet-stream"];

/// What the project says, or what it would if it said nothing.
pub(super) fn served(recipe: &Recipe) -> EndpointRecipe {
    recipe.endpoint.clone().unwrap_or_else(|| EndpointRecipe {
        instance_type: "ml.m5.large".to_owned(),
        instance_count: 1,
        entry_point: "inference.py".to_owned(),
        content_type: "application/json".to_owned(),
        accept: "application/json".to_owned(),
        classes: Vec::new(),
        smoke_test: None,
        environment: Vec::new(),
    })
}

fn types() -> FieldKind {
    FieldKind::Choice { options: instance_types::hosting().into_iter().map(Cow::Borrowed).collect(), open: true }
}

fn content_types() -> FieldKind {
    FieldKind::Choice { options: CONTENT_TYPES.into_iter().map(Cow::Borrowed).collect(), open: true }
}

/// Of a training job, of an archive, or of the newest completed job of the project.
pub(super) async fn deploy(aws: &Aws, recipe: &Recipe, verb: Verb, target: Option<&ItemId>) -> Result<Form, Failure> {
    let named = match target {
        Some(id) => Some(id.as_str().to_owned()),
        None => model::newest(aws, recipe).await?,
    };
    let origin = match &named {
        Some(named) => Some(Origin::read(aws, named).await?),
        None => None,
    };
    let endpoint = served(recipe);
    let (version, py) = origin
        .as_ref()
        .and_then(Origin::versions)
        .unwrap_or_else(|| (recipe.framework_version.clone(), recipe.py_version.clone()));
    let base = if recipe.name.is_empty() { "endpoint" } else { &recipe.name };
    let mut fields = vec![
        Field::of(
            "name",
            "name",
            FieldKind::Line,
            names::job_name(base, Timestamp::now()),
            "The endpoint's name, by which programs call it. Letters, digits and '-'.",
        ),
        Field::of(
            "model",
            "model",
            FieldKind::Line,
            named.clone().unwrap_or_default(),
            "A completed training job, or s3://…/model.tar.gz.",
        ),
        Field::of(
            "instance_type",
            "instance type",
            types(),
            &endpoint.instance_type,
            "The machine that answers, e.g. ml.m5.large.",
        ),
        Field::of(
            "instance_count",
            "instances",
            FieldKind::Whole { min: 1, max: 1000 },
            endpoint.instance_count.to_string(),
            "How many machines answer. Each costs from its creation until the endpoint is deleted.",
        ),
    ];
    fields.extend(script(recipe, &endpoint, version, py));
    fields.extend([
        Field::of(
            "variants",
            "more variants",
            FieldKind::Area,
            "",
            "Production variants beside this one, a line each: `name = model, weight`; a model that exists, its share of the calls.",
        ),
        Field::of(
            "role",
            "role",
            FieldKind::Line,
            role(recipe, origin.as_ref()),
            "Execution role (ARN or name) that the model acts as; empty: the local region's own, or that of the last job.",
        ),
        Field::of(
            "bucket",
            "bucket",
            FieldKind::Line,
            recipe.bucket.clone().unwrap_or_default(),
            "Where the repacked model goes; empty: sagemaker-{region}-{account}.",
        ),
        Field::of(
            "wait",
            "wait",
            FieldKind::Toggle,
            "yes",
            "Go on until it is in service, then send it the smoke test: InService alone does not mean that it works.",
        ),
    ]);
    let title = match &named {
        Some(named) => format!("Deploy {named}"),
        None => "Deploy a model".to_owned(),
    };
    Ok(Form { title: Safe::line(&title), resource: super::SPEC.id.to_owned(), verb, parent: target.cloned(), fields })
}

fn role(recipe: &Recipe, origin: Option<&Origin>) -> String {
    let of_job = || origin.and_then(|origin| origin.job.as_ref()).and_then(|job| job.role_arn()).map(str::to_owned);
    recipe.role.clone().or_else(of_job).unwrap_or_default()
}

/// What a new model is made with.
fn script(recipe: &Recipe, endpoint: &EndpointRecipe, version: String, py: String) -> Vec<Field> {
    let environment: Vec<String> = endpoint.environment.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    vec![
        Field::of(
            "entry_point",
            "script",
            FieldKind::Line,
            &endpoint.entry_point,
            "The inference script, relative to the source folder; empty: the archive is served as it is.",
        ),
        Field::of(
            "source_dir",
            "source folder",
            FieldKind::Line,
            recipe.source_dir.display().to_string(),
            "Folder with the script and what it imports, relative to the project; it goes into the archive as code/.",
        ),
        Field::of(
            "smoke_test",
            "smoke test",
            FieldKind::Line,
            endpoint.smoke_test.clone().unwrap_or_default(),
            "A file, relative to the project, that is sent once when the endpoint has come up.",
        ),
        Field::of(
            "environment",
            "environment",
            FieldKind::Area,
            environment.join("\n"),
            "One `NAME = value` a line, set for the script.",
        ),
        Field::of(
            "framework_version",
            "version",
            FieldKind::Line,
            version,
            "The framework's version, as the model was trained with.",
        ),
        Field::of("py_version", "python", FieldKind::Line, py, "e.g. py312; empty: what the version comes with."),
        Field::of(
            "image",
            "image",
            FieldKind::Line,
            "",
            "A full image URI, instead of PyTorch's inference image of that version.",
        ),
    ]
}

/// What to send, and as what.
pub(super) fn invoke(recipe: &Recipe, target: &ItemId) -> Form {
    let endpoint = served(recipe);
    let fields = vec![
        Field::of(
            "body",
            "file",
            FieldKind::Line,
            endpoint.smoke_test.clone().unwrap_or_default(),
            "The file to send, relative to the project; or leave it empty and type a text below.",
        ),
        Field::of("text", "text", FieldKind::Area, "", "A text to send instead of a file, e.g. {\"pixels\": [0, 0.5, 1]}."),
        Field::of(
            "content_type",
            "content type",
            content_types(),
            "",
            "What the body is; empty: by the file's ending, else what the project says.",
        ),
        Field::of("accept", "accept", content_types(), &endpoint.accept, "What the answer shall be."),
        Field::of("variant", "variant", FieldKind::Line, "", "A production variant to ask; empty: one by their weights."),
        Field::of(
            "save_to",
            "save to",
            FieldKind::Line,
            "",
            "A file, relative to the project, that the answer is written to as it came; empty: it is shown only.",
        ),
    ];
    Form {
        title: Safe::line(&format!("Invoke {}", target.as_str())),
        resource: super::SPEC.id.to_owned(),
        verb: Verb::Invoke,
        parent: Some(target.clone()),
        fields,
    }
}

/// What may change of an endpoint that serves.
pub(super) async fn update(aws: &Aws, recipe: &Recipe, target: &ItemId) -> Result<Form, Failure> {
    let there = hosting::endpoint(aws, target.as_str()).await?;
    let config_name = there.endpoint_config_name().unwrap_or_default();
    let config = hosting::missing(hosting::config(aws, config_name).await)?.ok_or_else(|| config_gone(target, config_name))?;
    let Some(first) = config.production_variants().first() else { return Err(config_gone(target, config_name)) };
    let variant = first.variant_name().unwrap_or_default();
    let running = there.production_variants().iter().find(|running| running.variant_name() == Some(variant));
    let count =
        running.and_then(ProductionVariantSummary::desired_instance_count).or(first.initial_instance_count()).unwrap_or(1);
    let names = config.production_variants().iter().filter_map(|one| one.variant_name());
    let names: Vec<Cow<'static, str>> = names.map(|name| Cow::Owned(name.to_owned())).collect();
    let endpoint = served(recipe);
    let mut fields = vec![
        Field::of(
            "variant",
            "variant",
            FieldKind::Choice { options: names, open: false },
            variant,
            "The production variant to change; its values are those below when the form opens on the first one.",
        ),
        Field::of(
            "model",
            "new model",
            FieldKind::Line,
            "",
            "A completed training job, or s3://…/model.tar.gz; empty: the model stays.",
        ),
        Field::of(
            "instance_type",
            "instance type",
            types(),
            first.instance_type().map_or("", |kind| kind.as_str()),
            "The machine that answers. Another one comes up beside the old one, which goes when it is ready.",
        ),
        Field::of(
            "instance_count",
            "instances",
            FieldKind::Whole { min: 1, max: 1000 },
            count.to_string(),
            "How many machines answer. If nothing else changes, those that run stay.",
        ),
    ];
    fields.extend(script(recipe, &endpoint, recipe.framework_version.clone(), recipe.py_version.clone()));
    Ok(Form {
        title: Safe::line(&format!("Update {}", target.as_str())),
        resource: super::SPEC.id.to_owned(),
        verb: Verb::Update,
        parent: Some(target.clone()),
        fields,
    })
}

/// What is said where the configuration has been deleted under its endpoint.
pub(super) fn config_gone(target: &ItemId, config: &str) -> Failure {
    Failure::new(
        FailureKind::Conflict,
        format!("the configuration {config} of {} has been deleted, so what it runs on is not known any more", target.as_str()),
        "deploy the model anew, then delete this endpoint",
    )
}
