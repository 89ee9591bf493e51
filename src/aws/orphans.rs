//! What is left behind and costs or clutters: made by footplate, used by nothing.

mod machines;

use std::collections::HashSet;

use jiff::Timestamp;

use super::s3_uri::S3Uri;
use super::{Aws, bucket, fault, hosting, time};
use crate::model::{Failure, FailureKind};

/// What kind of thing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An endpoint that never came up.
    Endpoint,
    /// An endpoint configuration that no endpoint has.
    Config,
    /// A model that no endpoint serves.
    Model,
    /// A repacked archive that no model names.
    Artefact,
    /// Parts of an upload that was never completed.
    Upload,
    /// An EC2 instance whose lease is over.
    Instance,
    /// A volume that no instance has.
    Volume,
    /// A security group that no instance uses.
    SecurityGroup,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Config => "endpoint-configuration",
            Self::Model => "model",
            Self::Artefact => "artefact",
            Self::Upload => "upload",
            Self::Instance => "instance",
            Self::Volume => "volume",
            Self::SecurityGroup => "security-group",
        }
    }

    /// Why it is of no use.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::Endpoint => "failed to come up",
            Self::Config => "no endpoint uses it",
            Self::Model => "no endpoint serves it",
            Self::Artefact => "no model uses it; its storage costs",
            Self::Upload => "was never completed; its parts cost storage",
            Self::Instance => "its lease is over; to end it takes its disk with it",
            Self::Volume => "no instance has it; its storage costs",
            Self::SecurityGroup => "no instance uses it",
        }
    }
}

/// One thing that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    pub kind: Kind,
    /// Its name, or its address in S3.
    pub name: String,
    pub since: Option<Timestamp>,
    /// What else is to be known of it: of an instance its name, what it costs, and the command that ends it.
    pub note: Option<String>,
    /// S3's number of an upload.
    upload: Option<String>,
}

/// Looks for models, configurations and failed endpoints that carry footplate's tags and are used by nothing, for uploads
/// in parts in these buckets, and for repacked archives under these places (`s3://bucket/base/model/`).
///
/// # Errors
/// As the services say.
pub async fn find(aws: &Aws, buckets: &[String], places: &[S3Uri]) -> Result<Vec<Orphan>, Failure> {
    let ours = |key: &str, _: &str| key.starts_with("footplate:");
    let all = hosting::endpoints(aws).await?;
    let failed = all.iter().filter(|summary| summary.endpoint_status().is_some_and(|status| status.as_str() == "Failed"));
    let failed = failed.filter_map(|summary| pair(summary.endpoint_name(), summary.endpoint_arn()));
    let failed = hosting::tagged(aws, failed.collect::<Vec<_>>(), ours).await?;
    // What only these have is of no use either.
    let useless: Vec<&str> = failed.iter().map(|(name, _)| name.as_str()).collect();
    let used = hosting::used(aws, &useless).await?;
    let configs: HashSet<&str> = used.iter().map(|used| used.config.as_str()).collect();
    let models: HashSet<&str> = used.iter().flat_map(|used| &used.models).map(String::as_str).collect();
    let mut found = Vec::new();

    for (name, _) in failed {
        let since = all.iter().find(|summary| summary.endpoint_name() == Some(name.as_str())).and_then(|one| one.creation_time());
        found.push(Orphan { kind: Kind::Endpoint, since: since.map(time::ours), name, note: None, upload: None });
    }
    let all = hosting::configs(aws, None).await?;
    let free = all.iter().filter_map(|summary| pair(summary.endpoint_config_name(), summary.endpoint_config_arn()));
    let free: Vec<_> = free.filter(|(name, _)| !configs.contains(name.as_str())).collect();
    for (name, _) in hosting::tagged(aws, free, ours).await? {
        let this = all.iter().find(|summary| summary.endpoint_config_name() == Some(name.as_str()));
        let since = this.and_then(|one| one.creation_time()).map(time::ours);
        found.push(Orphan { kind: Kind::Config, since, name, note: None, upload: None });
    }
    let all = hosting::models(aws, None).await?;
    let free = all.iter().filter_map(|summary| pair(summary.model_name(), summary.model_arn()));
    let free: Vec<_> = free.filter(|(name, _)| !models.contains(name.as_str())).collect();
    for (name, _) in hosting::tagged(aws, free, ours).await? {
        let since = all.iter().find(|summary| summary.model_name() == Some(name.as_str())).and_then(|one| one.creation_time());
        found.push(Orphan { kind: Kind::Model, since: since.map(time::ours), name, note: None, upload: None });
    }
    found.extend(artefacts(aws, places).await?);
    for name in buckets {
        if bucket::exists(aws, name).await? {
            found.extend(uploads(aws, name).await?);
        }
    }
    found.extend(machines::find(aws).await?);
    found.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    Ok(found)
}

fn pair(name: Option<&str>, arn: Option<&str>) -> Option<(String, String)> {
    Some((name?.to_owned(), arn?.to_owned()))
}

/// Archives that no model of the account names: a model of somebody else's may well use one of ours.
async fn artefacts(aws: &Aws, places: &[S3Uri]) -> Result<Vec<Orphan>, Failure> {
    let mut there = Vec::new();
    for place in places {
        let objects = bucket::objects(aws, place).await?;
        let archives = objects.into_iter().filter(|object| object.key.ends_with("/model.tar.gz"));
        there.extend(archives.map(|object| S3Uri::new(&place.bucket, object.key).to_string()));
    }
    if there.is_empty() {
        return Ok(Vec::new());
    }
    let mut named = HashSet::new();
    for summary in hosting::models(aws, None).await? {
        let model = hosting::missing(hosting::model(aws, summary.model_name().unwrap_or_default()).await)?;
        named.extend(model.as_ref().and_then(hosting::data_of).map(str::to_owned));
    }
    there.retain(|at| !named.contains(at));
    Ok(there.into_iter().map(|name| Orphan { kind: Kind::Artefact, name, since: None, note: None, upload: None }).collect())
}

async fn uploads(aws: &Aws, bucket: &str) -> Result<Vec<Orphan>, Failure> {
    let (mut found, mut key, mut id) = (Vec::new(), None::<String>, None::<String>);
    loop {
        let call = aws.s3.list_multipart_uploads().bucket(bucket).set_key_marker(key.clone()).set_upload_id_marker(id.clone());
        let page = call.send().await.map_err(|error| fault::tell(&format!("listing uploads to {bucket}"), &error))?;
        found.extend(page.uploads().iter().map(|upload| Orphan {
            kind: Kind::Upload,
            name: S3Uri::new(bucket, upload.key().unwrap_or_default()).to_string(),
            since: upload.initiated().map(time::ours),
            note: None,
            upload: upload.upload_id().map(str::to_owned),
        }));
        let stays = page.next_key_marker == key && page.next_upload_id_marker == id;
        if page.is_truncated() != Some(true) || stays {
            return Ok(found);
        }
        (key, id) = (page.next_key_marker, page.next_upload_id_marker);
    }
}

/// Takes one away; one that has gone meanwhile is fine.
///
/// # Errors
/// As the service says.
pub async fn remove(aws: &Aws, orphan: &Orphan) -> Result<(), Failure> {
    let name = orphan.name.as_str();
    let doing = format!("deleting {} {name}", orphan.kind.word());
    let done = match orphan.kind {
        Kind::Endpoint => delete_endpoint(aws, name).await,
        Kind::Config => delete_config(aws, name).await,
        Kind::Model => delete_model(aws, name).await,
        Kind::Artefact => delete_object(aws, &address(name)?).await,
        kind @ (Kind::Instance | Kind::Volume | Kind::SecurityGroup) => machines::remove(aws, kind, name, &doing).await,
        Kind::Upload => {
            let at = address(name)?;
            let call = aws.s3.abort_multipart_upload().bucket(&at.bucket).key(&at.key).set_upload_id(orphan.upload.clone());
            call.send().await.map(drop).map_err(|error| fault::tell(&doing, &error))
        }
    };
    hosting::missing(done).map(drop)
}

fn address(name: &str) -> Result<S3Uri, Failure> {
    S3Uri::parse(name).ok_or_else(|| Failure::new(FailureKind::Invalid, format!("'{name}' is no S3 address"), ""))
}

/// `DeleteEndpoint`.
///
/// # Errors
/// As the service says; `NotFound` when it is gone already.
pub async fn delete_endpoint(aws: &Aws, name: &str) -> Result<(), Failure> {
    let done = aws.sagemaker.delete_endpoint().endpoint_name(name).send().await;
    done.map(drop).map_err(|error| fault::tell(&format!("deleting endpoint {name}"), &error))
}

/// `DeleteEndpointConfig`.
///
/// # Errors
/// As the service says; `NotFound` when it is gone already.
pub async fn delete_config(aws: &Aws, name: &str) -> Result<(), Failure> {
    let done = aws.sagemaker.delete_endpoint_config().endpoint_config_name(name).send().await;
    done.map(drop).map_err(|error| fault::tell(&format!("deleting configuration {name}"), &error))
}

/// `DeleteModel`.
///
/// # Errors
/// As the service says; `NotFound` when it is gone already.
pub async fn delete_model(aws: &Aws, name: &str) -> Result<(), Failure> {
    let done = aws.sagemaker.delete_model().model_name(name).send().await;
    done.map(drop).map_err(|error| fault::tell(&format!("deleting model {name}"), &error))
}

/// Deletes one object of ours.
///
/// # Errors
/// As S3 says.
pub async fn delete_object(aws: &Aws, at: &S3Uri) -> Result<(), Failure> {
    let doing = format!("deleting {at}");
    let account = aws.identity().await?.account;
    let id = aws_sdk_s3::types::ObjectIdentifier::builder().key(&at.key).build();
    let what = id.and_then(|id| aws_sdk_s3::types::Delete::builder().objects(id).quiet(true).build());
    let what = what.map_err(|error| Failure::new(FailureKind::Invalid, format!("{doing}: {error}"), ""))?;
    let call = aws.s3.delete_objects().bucket(&at.bucket).expected_bucket_owner(account).delete(what);
    let answer = call.send().await.map_err(|error| fault::tell(&doing, &error))?;
    match answer.errors().first() {
        Some(error) => Err(Failure::new(FailureKind::Denied, format!("{doing}: {}", error.message().unwrap_or_default()), "")),
        None => Ok(()),
    }
}
