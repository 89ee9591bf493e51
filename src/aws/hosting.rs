//! Endpoints, their configurations and their models as the service has them: who uses what, and what we noted on them.
//!
//! The three have names of their own and know each other in one direction only (endpoint, configuration, model), so what
//! belongs together is never guessed from names: it is read from the descriptions, and where those are gone from the tags
//! that footplate leaves.

use aws_sdk_sagemaker::operation::describe_endpoint::DescribeEndpointOutput;
use aws_sdk_sagemaker::operation::describe_endpoint_config::DescribeEndpointConfigOutput;
use aws_sdk_sagemaker::operation::describe_model::DescribeModelOutput;
use aws_sdk_sagemaker::types::{EndpointConfigSummary, EndpointSummary, ModelSummary, Tag};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::{Aws, fault};
use crate::model::{Failure, FailureKind};

/// On models and configurations: the endpoint that they were made for, or that is being deleted with them.
pub const ENDPOINT: &str = "footplate:endpoint";
/// On a model: the archive that was repacked for it.
pub const REPACKED: &str = "footplate:repacked";
/// On an endpoint: its model, for the day when its configuration has been deleted under it.
pub const MODEL: &str = "footplate:model";

/// Pages of a hundred that one listing reads; older things than those are not looked at.
const PAGES: usize = 20;
/// Looks at once.
const PARALLEL: usize = 4;

/// Keys with their values.
pub type Tags = Vec<(String, String)>;

/// What one endpoint uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    pub endpoint: String,
    pub config: String,
    pub models: Vec<String>,
}

/// What is there, or `None` when it is not (any more).
///
/// # Errors
/// Any other failure.
pub fn missing<T>(asked: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match asked {
        Ok(found) => Ok(Some(found)),
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// `DescribeEndpoint`.
///
/// # Errors
/// As the service says.
pub async fn endpoint(aws: &Aws, name: &str) -> Result<DescribeEndpointOutput, Failure> {
    let asked = aws.sagemaker.describe_endpoint().endpoint_name(name).send().await;
    asked.map_err(|error| fault::tell(&format!("describing {name}"), &error))
}

/// `DescribeEndpointConfig`.
///
/// # Errors
/// As the service says.
pub async fn config(aws: &Aws, name: &str) -> Result<DescribeEndpointConfigOutput, Failure> {
    let asked = aws.sagemaker.describe_endpoint_config().endpoint_config_name(name).send().await;
    asked.map_err(|error| fault::tell(&format!("describing configuration {name}"), &error))
}

/// `DescribeModel`.
///
/// # Errors
/// As the service says.
pub async fn model(aws: &Aws, name: &str) -> Result<DescribeModelOutput, Failure> {
    let asked = aws.sagemaker.describe_model().model_name(name).send().await;
    asked.map_err(|error| fault::tell(&format!("describing model {name}"), &error))
}

/// Names of the models in a configuration, each once.
#[must_use]
pub fn models_in(config: &DescribeEndpointConfigOutput) -> Vec<String> {
    let all = config.production_variants().iter().chain(config.shadow_production_variants());
    let mut names: Vec<String> = all.filter_map(|variant| variant.model_name().map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    names
}

/// Where a model's archive lies, for the container that it has.
#[must_use]
pub fn data_of(model: &DescribeModelOutput) -> Option<&str> {
    let container = model.primary_container().or(model.containers().first())?;
    let source = container.model_data_source().and_then(|source| source.s3_data_source()).and_then(|source| source.s3_uri());
    container.model_data_url().or(source)
}

/// The tags of a thing.
///
/// # Errors
/// As the service says.
pub async fn tags(aws: &Aws, arn: &str) -> Result<Tags, Failure> {
    let asked = aws.sagemaker.list_tags().resource_arn(arn).max_results(100).send().await;
    let asked = asked.map_err(|error| fault::tell("reading tags", &error))?;
    Ok(asked.tags().iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned()))).collect())
}

/// The value of a tag.
#[must_use]
pub fn tag<'a>(tags: &'a [(String, String)], key: &str) -> Option<&'a str> {
    tags.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
}

/// Tags as requests have them.
#[must_use]
pub fn sent(tags: &[(String, String)]) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// All endpoints, newest first.
///
/// # Errors
/// As the service says.
pub async fn endpoints(aws: &Aws) -> Result<Vec<EndpointSummary>, Failure> {
    let (mut all, mut token) = (Vec::new(), None::<String>);
    for _ in 0..PAGES {
        let call = aws.sagemaker.list_endpoints().max_results(100).set_next_token(token.clone());
        let page = call.send().await.map_err(|error| fault::tell("listing endpoints", &error))?;
        all.extend_from_slice(page.endpoints());
        token = page.next_token.filter(|next| Some(next) != token.as_ref());
        if token.is_none() {
            break;
        }
    }
    Ok(all)
}

/// Models with that in their names, newest first.
///
/// # Errors
/// As the service says.
pub async fn models(aws: &Aws, contains: Option<&str>) -> Result<Vec<ModelSummary>, Failure> {
    let (mut all, mut token) = (Vec::new(), None::<String>);
    for _ in 0..PAGES {
        let call = aws.sagemaker.list_models().max_results(100).set_name_contains(contains.map(str::to_owned));
        let page = call.set_next_token(token.clone()).send().await.map_err(|error| fault::tell("listing models", &error))?;
        all.extend_from_slice(page.models());
        token = page.next_token.filter(|next| Some(next) != token.as_ref());
        if token.is_none() {
            break;
        }
    }
    Ok(all)
}

/// Configurations with that in their names, newest first.
///
/// # Errors
/// As the service says.
pub async fn configs(aws: &Aws, contains: Option<&str>) -> Result<Vec<EndpointConfigSummary>, Failure> {
    let (mut all, mut token) = (Vec::new(), None::<String>);
    for _ in 0..PAGES {
        let call = aws.sagemaker.list_endpoint_configs().max_results(100).set_name_contains(contains.map(str::to_owned));
        let page = call.set_next_token(token.clone()).send().await;
        let page = page.map_err(|error| fault::tell("listing endpoint configurations", &error))?;
        all.extend_from_slice(page.endpoint_configs());
        token = page.next_token.filter(|next| Some(next) != token.as_ref());
        if token.is_none() {
            break;
        }
    }
    Ok(all)
}

/// What all endpoints use, but for those named.
///
/// # Errors
/// As the service says. An endpoint or configuration that goes meanwhile uses nothing.
pub async fn used(aws: &Aws, besides: &[&str]) -> Result<Vec<Used>, Failure> {
    let names: Vec<String> = endpoints(aws).await?.iter().filter_map(|found| found.endpoint_name().map(str::to_owned)).collect();
    let others = names.into_iter().filter(|name| !besides.contains(&name.as_str()));
    let looks = others.map(|name| async move {
        let Some(found) = missing(endpoint(aws, &name).await)? else { return Ok(None) };
        let config_name = found.endpoint_config_name().unwrap_or_default().to_owned();
        let models = match missing(config(aws, &config_name).await)? {
            Some(config) => models_in(&config),
            None => {
                tag(&tags(aws, found.endpoint_arn().unwrap_or_default()).await?, MODEL).map(str::to_owned).into_iter().collect()
            }
        };
        Ok(Some(Used { endpoint: name, config: config_name, models }))
    });
    let all: Vec<Option<Used>> = stream::iter(looks).buffer_unordered(PARALLEL).try_collect().await?;
    Ok(all.into_iter().flatten().collect())
}

/// Of these things, with their ARNs, those that carry a wanted tag, each with all its tags.
///
/// # Errors
/// As the service says. One that goes meanwhile is left out.
pub async fn tagged(
    aws: &Aws,
    things: impl IntoIterator<Item = (String, String)>,
    wanted: impl Fn(&str, &str) -> bool,
) -> Result<Vec<(String, Tags)>, Failure> {
    let looks = things.into_iter().map(|(name, arn)| async move { Ok((name, missing(tags(aws, &arn).await)?)) });
    let all: Vec<(String, Option<Tags>)> = stream::iter(looks).buffered(PARALLEL).try_collect().await?;
    let all = all.into_iter().filter_map(|(name, tags)| Some((name, tags?)));
    Ok(all.filter(|(_, tags)| tags.iter().any(|(key, value)| wanted(key, value))).collect())
}
