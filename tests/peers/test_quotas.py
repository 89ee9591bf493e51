"""Service Quotas and AWS Price List, as boto3 and the aws command ask them."""
import json
import subprocess
import sys

import pytest
from botocore.exceptions import ClientError
from region import ROOT


@pytest.fixture
def quotas(clients):
    return getattr(clients, "service-quotas")


def refusal(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return caught.value.response["Error"]["Code"]


def terms(product):
    """The price in dollars, found as every client finds it."""
    term = next(iter(product["terms"]["OnDemand"].values()))
    return float(next(iter(term["priceDimensions"].values()))["pricePerUnit"]["USD"])


def products(clients, service, **fields):
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in fields.items()]
    pages = clients.pricing.get_paginator("get_products").paginate(ServiceCode=service, Filters=filters, PaginationConfig={"PageSize": 7})
    return [json.loads(item) for page in pages for item in page["PriceList"]]


def test_quotas_are_found_by_name(clients, quotas):
    listed = [quota for page in quotas.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker") for quota in page["Quotas"]]
    by_name = {quota["QuotaName"]: quota for quota in listed}
    assert len(by_name) == len(listed)
    assert by_name["ml.g4dn.xlarge for training job usage"]["Value"] == 0
    for use in ("training job", "spot training job", "training warm pool", "endpoint", "notebook instance"):
        assert f"ml.m5.xlarge for {use} usage" in by_name
    name = "ml.m5.xlarge for training job usage"
    assert quotas.get_service_quota(ServiceCode="sagemaker", QuotaCode=by_name[name]["QuotaCode"])["Quota"] == by_name[name]


def test_the_number_is_the_one_that_the_region_enforces(clients, quotas, jobs):
    """One instance more than the quota of its name is refused, with that number."""
    listed = quotas.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")
    value = next(quota["Value"] for page in listed for quota in page["Quotas"] if quota["QuotaName"] == "ml.c5.xlarge for training job usage")
    request = jobs.request("train.py")
    request["ResourceConfig"].update(InstanceType="ml.c5.xlarge", InstanceCount=int(value) + 1)
    with pytest.raises(ClientError) as caught:
        clients.sagemaker.create_training_job(**request)
    assert f"'ml.c5.xlarge for training job usage' is {int(value)} Instances" in caught.value.response["Error"]["Message"]


def test_every_operation_of_service_quotas_conforms(quotas, watcher):
    assert [service["ServiceCode"] for service in quotas.list_services()["Services"]] == ["ec2", "sagemaker"]
    assert [service["ServiceCode"] for page in quotas.get_paginator("list_services").paginate(PaginationConfig={"PageSize": 1}) for service in page["Services"]] == ["ec2", "sagemaker"]
    standard = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}
    found = quotas.get_service_quota(**standard)["Quota"]
    assert found["QuotaName"] == "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"
    assert quotas.get_aws_default_service_quota(**standard)["Quota"] == found
    assert found in quotas.list_aws_default_service_quotas(ServiceCode="ec2")["Quotas"]
    assert quotas.list_service_quotas(ServiceCode="ec2", QuotaCode="L-1216C47A")["Quotas"] == [found]
    assert quotas.list_requested_service_quota_change_history(ServiceCode="ec2")["RequestedQuotas"] == []
    assert quotas.list_requested_service_quota_change_history_by_quota(**standard)["RequestedQuotas"] == []
    assert refusal(quotas.request_service_quota_increase, **standard, DesiredValue=64) == "AccessDeniedException"
    assert refusal(quotas.get_service_quota, ServiceCode="ec2", QuotaCode="L-00000000") == "NoSuchResourceException"
    assert refusal(quotas.list_service_quotas, ServiceCode="nosuch") == "NoSuchResourceException"
    assert refusal(quotas.list_service_quotas, ServiceCode="ec2", NextToken="abcd") == "InvalidPaginationTokenException"
    offered = {f"service-quotas.{operation}" for operation in json.loads((ROOT / "src/local/quotas/shapes.json").read_text())["operations"]}
    assert offered - watcher.seen == set()


def test_prices_are_found_the_ways_that_clients_ask(clients):
    for fields in (
        {"usagetype": "USE1-Train:ml.m5.2xlarge"},
        {"regionCode": "us-east-1", "instanceName": "ml.m5.2xlarge", "component": "Training"},
        {"productFamily": "ML Instance", "instanceType": "ml.m5.2xlarge-Training", "location": "US East (N. Virginia)"},
    ):
        found = products(clients, "AmazonSageMaker", **fields)
        assert [(terms(product), product["publicationDate"]) for product in found] == [(0.461, "2026-08-01T00:00:00Z")], fields
    linux = {"operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
    found = products(clients, "AmazonEC2", regionCode="us-east-1", instanceType="g5.2xlarge", **linux)
    assert [terms(product) for product in found] == [1.212]
    assert products(clients, "AmazonEC2", instanceType="no.such-type") == []


def test_every_operation_of_the_price_list_conforms(clients, watcher):
    services = clients.pricing.describe_services()["Services"]
    assert [service["ServiceCode"] for service in services] == ["AmazonEC2", "AmazonSageMaker"]
    for service in services:
        for name in service["AttributeNames"]:
            assert clients.pricing.get_attribute_values(ServiceCode=service["ServiceCode"], AttributeName=name)["AttributeValues"]
    every = products(clients, "AmazonSageMaker")
    assert len({product["product"]["sku"] for product in every}) == len(every) > 30
    assert refusal(clients.pricing.get_products, ServiceCode="AmazonS3") == "NotFoundException"
    assert refusal(clients.pricing.get_products, ServiceCode="AmazonEC2", NextToken="?") == "InvalidNextTokenException"
    offered = {f"pricing.{operation}" for operation in json.loads((ROOT / "src/local/pricing/shapes.json").read_text())["operations"]}
    assert offered - watcher.seen == set()


def test_the_aws_command_asks_too(region):
    def aws(*arguments):
        done = subprocess.run([sys.executable, "-m", "awscli", *arguments, "--output", "json"], env=region.env, stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)

    query = "Quotas[?QuotaName=='ml.g4dn.xlarge for training job usage'].Value"
    assert aws("service-quotas", "list-service-quotas", "--service-code", "sagemaker", "--query", query) == [0.0]
    found = aws("pricing", "get-products", "--service-code", "AmazonSageMaker", "--filters", "Type=TERM_MATCH,Field=usagetype,Value=USE1-Notebk:ml.t3.medium")
    assert [terms(json.loads(item)) for item in found["PriceList"]] == [0.05]
