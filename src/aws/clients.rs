//! Configuration and clients, without touching the network.

use std::sync::LazyLock;
use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::config::retry::{RetryPartition, TokenBucket};

use super::guard::Guard;
use super::watched::Watched;
use super::{LocalAccess, deadline, profiles};
use crate::model::{Failure, FailureKind};

/// One bucket of retry tokens for the whole process: when a service is down, all clients together try again only so often.
static RETRIES: LazyLock<RetryPartition> =
    LazyLock::new(|| RetryPartition::custom("footplate").token_bucket(TokenBucket::new(500)).build());

/// The clients that footplate uses, all behind the same guard.
pub(super) struct Clients {
    pub sagemaker: aws_sdk_sagemaker::Client,
    pub s3: aws_sdk_s3::Client,
    pub logs: aws_sdk_cloudwatchlogs::Client,
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    pub sts: aws_sdk_sts::Client,
    pub runtime: aws_sdk_sagemakerruntime::Client,
    pub quotas: aws_sdk_servicequotas::Client,
    pub pricing: aws_sdk_pricing::Client,
    pub ec2: aws_sdk_ec2::Client,
    pub instance_connect: aws_sdk_ec2instanceconnect::Client,
}

/// Settings that lead to the local region and nowhere else; nothing of the user's environment is read.
pub(super) fn local_settings(local: &LocalAccess) -> SdkConfig {
    let credentials = Credentials::new(&local.access_key_id, &local.secret_access_key, None, None, "footplate-local");
    let settings = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(local.region.clone()))
        .endpoint_url(&local.endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(local.http.clone())
        .build();
    base(settings)
}

/// Settings as the user's environment and files have them.
///
/// # Errors
/// When no region is known, or there is no such profile.
pub(super) async fn aws_settings(profile: Option<&str>, region: Option<&str>) -> Result<SdkConfig, Failure> {
    if let Some(profile) = profile {
        profiles::known(profile)?;
    }
    let region = find_region(profile, region).await?;
    let provider_config = ProviderConfig::default().with_region(Some(region.clone()));
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(region)
        .credentials_provider(credentials(profile, &provider_config));
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    Ok(base(loader.load().await))
}

fn base(settings: SdkConfig) -> SdkConfig {
    let retry = RetryConfig::standard().with_max_attempts(4).with_max_backoff(Duration::from_secs(10));
    let mut builder = settings.into_builder().retry_config(retry);
    builder.set_app_name(AppName::new("footplate").ok());
    builder.build()
}

async fn find_region(profile: Option<&str>, region: Option<&str>) -> Result<Region, Failure> {
    if let Some(region) = region {
        return Ok(Region::new(region.to_owned()));
    }
    let mut file = ProfileFileRegionProvider::builder();
    if let Some(profile) = profile {
        file = file.profile_name(profile);
    }
    let file = file.build();
    let environment = EnvironmentVariableRegionProvider::new();
    // A profile that was named beats the environment; otherwise the environment comes first, as everywhere.
    let found = if profile.is_some() {
        ours_or(file.region().await, environment.region().await)
    } else {
        ours_or(environment.region().await, file.region().await)
    };
    if let Some(region) = found {
        return Ok(region);
    }
    if on_ec2()
        && let Some(region) = aws_config::imds::region::ImdsRegionProvider::builder().build().region().await
    {
        return Ok(region);
    }
    Err(Failure::new(
        FailureKind::Invalid,
        "no AWS region is set",
        "add `--region us-east-1`, set AWS_REGION, or run `aws configure`; `footplate --local` needs none",
    ))
}

fn ours_or(first: Option<Region>, second: Option<Region>) -> Option<Region> {
    first.or(second)
}

/// The usual chain, except that the instance metadata service is asked only on EC2: elsewhere that costs seconds of
/// waiting for an address that does not answer.
fn credentials(profile: Option<&str>, config: &ProviderConfig) -> SharedCredentialsProvider {
    let mut file = ProfileFileCredentialsProvider::builder().configure(config);
    if let Some(profile) = profile {
        file = file.profile_name(profile);
        return SharedCredentialsProvider::new(file.build());
    }
    let mut chain = CredentialsProviderChain::first_try("environment", EnvironmentVariableCredentialsProvider::new())
        .or_else("profile", file.build())
        .or_else(
            "web identity",
            aws_config::web_identity_token::WebIdentityTokenCredentialsProvider::builder().configure(config).build(),
        )
        .or_else("container", aws_config::ecs::EcsCredentialsProvider::builder().configure(config).build());
    if on_ec2() {
        chain = chain
            .or_else("instance", aws_config::imds::credentials::ImdsCredentialsProvider::builder().configure(config).build());
    }
    SharedCredentialsProvider::new(chain)
}

/// What the firmware says: Xen instances have a hypervisor UUID that starts with `ec2`, Nitro instances name Amazon EC2 as
/// vendor.
fn on_ec2() -> bool {
    let starts = |path: &str, start: &str| std::fs::read_to_string(path).is_ok_and(|text| text.to_lowercase().starts_with(start));
    starts("/sys/hypervisor/uuid", "ec2")
        || starts("/sys/class/dmi/id/product_uuid", "ec2")
        || starts("/sys/class/dmi/id/sys_vendor", "amazon ec2")
        || starts("/sys/class/dmi/id/bios_vendor", "amazon ec2")
}

/// The settings with their credentials under watch.
pub(super) fn watched(settings: SdkConfig, guard: &Guard) -> SdkConfig {
    let Some(inner) = settings.credentials_provider() else { return settings };
    let mut bare = settings.to_builder();
    bare.set_credentials_provider(None);
    let provider = SharedCredentialsProvider::new(Watched::new(inner, bare.build(), guard.clone()));
    settings.into_builder().credentials_provider(provider).build()
}

/// The clients of these settings, each behind the guard.
pub(super) fn clients(settings: &SdkConfig, guard: &Guard) -> Clients {
    // Bucket names do not resolve under a loopback address.
    let plain = |url: &str| url.starts_with("http://");
    let path_style =
        settings.endpoint_url().is_some_and(plain) || std::env::var("AWS_ENDPOINT_URL_S3").is_ok_and(|url| plain(&url));
    // The SDK's crates share no trait for this.
    macro_rules! builder {
        ($sdk:ident, $service:literal) => {
            $sdk::config::Builder::from(settings)
                .timeout_config(deadline::client($service))
                .retry_partition(RETRIES.clone())
                .interceptor(guard.clone())
        };
    }
    Clients {
        sagemaker: aws_sdk_sagemaker::Client::from_conf(builder!(aws_sdk_sagemaker, "SageMaker").build()),
        s3: aws_sdk_s3::Client::from_conf(builder!(aws_sdk_s3, "S3").force_path_style(path_style).build()),
        logs: aws_sdk_cloudwatchlogs::Client::from_conf(builder!(aws_sdk_cloudwatchlogs, "CloudWatch Logs").build()),
        cloudwatch: aws_sdk_cloudwatch::Client::from_conf(builder!(aws_sdk_cloudwatch, "CloudWatch").build()),
        sts: aws_sdk_sts::Client::from_conf(builder!(aws_sdk_sts, "STS").build()),
        runtime: aws_sdk_sagemakerruntime::Client::from_conf(builder!(aws_sdk_sagemakerruntime, "SageMaker Runtime").build()),
        quotas: aws_sdk_servicequotas::Client::from_conf(builder!(aws_sdk_servicequotas, "Service Quotas").build()),
        ec2: aws_sdk_ec2::Client::from_conf(builder!(aws_sdk_ec2, "EC2").build()),
        instance_connect: aws_sdk_ec2instanceconnect::Client::from_conf(
            builder!(aws_sdk_ec2instanceconnect, "EC2 Instance Connect").build(),
        ),
        // The price list is served in few regions only, and is the same in each.
        pricing: aws_sdk_pricing::Client::from_conf(
            builder!(aws_sdk_pricing, "Pricing").region(Region::new("us-east-1")).build(),
        ),
    }
}
