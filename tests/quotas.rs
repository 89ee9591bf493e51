//! Service Quotas and AWS Price List of the local region, with the real AWS SDKs through its TCP door.

use std::path::PathBuf;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_sdk_pricing::types::{Filter, FilterType};
use aws_sdk_servicequotas::error::ProvideErrorMetadata as _;
use footplate::local::sagemaker::EngineOptions;
use footplate::local::{LocalRegion, Options};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

struct Fixture {
    region: Arc<LocalRegion>,
    endpoint: String,
    _folder: tempfile::TempDir,
}

impl Fixture {
    /// A region that goes by this name.
    async fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = EngineOptions {
            keeper: PathBuf::from("/bin/false"),
            python: PathBuf::from("python3"),
            speed: 1.0,
            memory_bytes: None,
            disk_bytes: None,
            seconds: None,
        };
        let options = Options { folder: folder.path().to_owned(), region: name.to_owned(), engine };
        let region = LocalRegion::open(options).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        tokio::spawn(Arc::clone(&region).serve_tcp(listener, CancellationToken::new()));
        Self { region, endpoint, _folder: folder }
    }

    fn keys(&self) -> Credentials {
        let keys = self.region.credentials();
        Credentials::new(&keys.access_key_id, &keys.secret_access_key, None, None, "test")
    }

    fn quotas(&self) -> aws_sdk_servicequotas::Client {
        let config = aws_sdk_servicequotas::Config::builder()
            .behavior_version(aws_sdk_servicequotas::config::BehaviorVersion::latest())
            .region(aws_sdk_servicequotas::config::Region::new("us-east-1"))
            .credentials_provider(self.keys())
            .endpoint_url(&self.endpoint);
        aws_sdk_servicequotas::Client::from_conf(config.build())
    }

    fn pricing(&self) -> aws_sdk_pricing::Client {
        let config = aws_sdk_pricing::Config::builder()
            .behavior_version(aws_sdk_pricing::config::BehaviorVersion::latest())
            .region(aws_sdk_pricing::config::Region::new("us-east-1"))
            .credentials_provider(self.keys())
            .endpoint_url(&self.endpoint);
        aws_sdk_pricing::Client::from_conf(config.build())
    }
}

fn filter(field: &str, value: &str) -> Filter {
    Filter::builder().r#type(FilterType::TermMatch).field(field).value(value).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_found_by_name_through_all_pages_and_then_by_its_code() {
    let fixture = Fixture::new("us-east-1").await;
    let quotas = fixture.quotas();
    let mut pages = quotas.list_service_quotas().service_code("sagemaker").into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(quota) = pages.next().await {
        let quota = quota.unwrap();
        if quota.quota_name() == Some("ml.g4dn.xlarge for training job usage") {
            found.push(quota);
        }
    }
    let [quota] = found.as_slice() else { panic!("listed {} times", found.len()) };
    assert_eq!((quota.value(), quota.adjustable()), (Some(0.0), true));
    let code = quota.quota_code().unwrap();
    let same = quotas.get_service_quota().service_code("sagemaker").quota_code(code).send().await.unwrap();
    assert_eq!(same.quota(), Some(quota));
    let more = quotas.request_service_quota_increase().service_code("sagemaker").quota_code(code).desired_value(1.0);
    let refused = more.send().await.unwrap_err();
    assert_eq!(refused.code(), Some("AccessDeniedException"));
    assert!(refused.message().unwrap().contains("cannot be raised"));
    let unknown = quotas.list_service_quotas().service_code("lambda").send().await.unwrap_err();
    assert!(unknown.into_service_error().is_no_such_resource_exception());
    let services = quotas.list_services().send().await.unwrap();
    let codes: Vec<_> = services.services().iter().filter_map(|service| service.service_code()).collect();
    assert_eq!(codes, ["ec2", "sagemaker"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_is_found_and_says_its_date() {
    // Prices are asked of us-east-1, wherever one works.
    for region in ["us-east-1", "eu-central-1"] {
        let fixture = Fixture::new(region).await;
        let pricing = fixture.pricing();
        let call =
            pricing.get_products().service_code("AmazonSageMaker").filters(filter("usagetype", "USE1-Train:ml.m5.2xlarge"));
        let answer = call.filters(filter("regionCode", "us-east-1")).send().await.unwrap();
        let [item] = answer.price_list() else { panic!("{:?}", answer.price_list()) };
        let item: Value = serde_json::from_str(item).unwrap();
        assert_eq!(item["product"]["attributes"]["instanceName"], "ml.m5.2xlarge");
        assert_eq!(item["publicationDate"], "2026-08-01T00:00:00Z");
        let price = item.pointer("/terms/OnDemand").unwrap().as_object().unwrap().values().next().unwrap();
        let price = price["priceDimensions"].as_object().unwrap().values().next().unwrap();
        assert_eq!(price["pricePerUnit"]["USD"], "0.4610000000");
        let none = pricing.get_products().service_code("AmazonSageMaker").filters(filter("instanceName", "ml.p5.48xlarge"));
        assert!(none.send().await.unwrap().price_list().is_empty());
    }
}
