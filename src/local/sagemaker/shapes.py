"""Writes the extracts of AWS's service models that shapes.rs checks requests against.

Run it at the root of the repository with a Python that has botocore (whose version each file's first line then names):

    python3 src/local/sagemaker/shapes.py

To offer another operation, add its name below. Documentation is left out and references are shortened to shape names.
"""
import gzip
import json
import os

import botocore

JOBS = [
    "CreateTrainingJob",
    "DescribeTrainingJob",
    "ListTrainingJobs",
    "StopTrainingJob",
    "DeleteTrainingJob",
    "Search",
    "UpdateTrainingJob",
    "AddTags",
    "ListTags",
    "DeleteTags",
    "CreateHyperParameterTuningJob",
    "DescribeHyperParameterTuningJob",
    "ListHyperParameterTuningJobs",
    "ListTrainingJobsForHyperParameterTuningJob",
    "StopHyperParameterTuningJob",
    "DeleteHyperParameterTuningJob",
]
HOSTING = [
    "CreateModel",
    "DescribeModel",
    "DeleteModel",
    "CreateEndpointConfig",
    "DescribeEndpointConfig",
    "DeleteEndpointConfig",
    "CreateEndpoint",
    "DescribeEndpoint",
    "DeleteEndpoint",
    "ListModels",
    "ListEndpointConfigs",
    "ListEndpoints",
    "UpdateEndpoint",
    "UpdateEndpointWeightsAndCapacities",
]
NOTEBOOKS = [
    "CreateNotebookInstance",
    "DescribeNotebookInstance",
    "ListNotebookInstances",
    "StartNotebookInstance",
    "StopNotebookInstance",
    "UpdateNotebookInstance",
    "DeleteNotebookInstance",
    "CreatePresignedNotebookInstanceUrl",
    "CreateDomain",
    "DescribeDomain",
    "ListDomains",
    "DeleteDomain",
    "CreateUserProfile",
    "DescribeUserProfile",
    "ListUserProfiles",
    "DeleteUserProfile",
    "CreateSpace",
    "DescribeSpace",
    "ListSpaces",
    "UpdateSpace",
    "DeleteSpace",
    "CreateApp",
    "DescribeApp",
    "ListApps",
    "DeleteApp",
    "CreatePresignedDomainUrl",
]
QUOTAS = [
    "ListServices",
    "ListServiceQuotas",
    "GetServiceQuota",
    "ListAWSDefaultServiceQuotas",
    "GetAWSDefaultServiceQuota",
    "RequestServiceQuotaIncrease",
    "ListRequestedServiceQuotaChangeHistory",
    "ListRequestedServiceQuotaChangeHistoryByQuota",
]
CONNECT = ["SendSSHPublicKey"]
PRICING = ["DescribeServices", "GetAttributeValues", "GetProducts"]
HERE = os.path.dirname(__file__)
# What is written: the file, the service and its operations.
EXTRACTS = [
    ("shapes.json", "sagemaker/2017-07-24", "Amazon SageMaker", JOBS),
    ("hosting/shapes.json", "sagemaker/2017-07-24", "Amazon SageMaker", HOSTING),
    ("notebooks/shapes.json", "sagemaker/2017-07-24", "Amazon SageMaker", NOTEBOOKS),
    ("../quotas/shapes.json", "service-quotas/2019-06-24", "Service Quotas", QUOTAS),
    ("../instance_connect/shapes.json", "ec2-instance-connect/2018-04-02", "EC2 Instance Connect", CONNECT),
    ("../pricing/shapes.json", "pricing/2017-10-15", "AWS Price List", PRICING),
]
# Shapes of which only some members are kept: a search finds one kind of resource.
KEPT = {"SearchRecord": ["TrainingJob"]}


def collect(model, name, shapes):
    """Adds a shape and all that it refers to."""
    if name in shapes:
        return
    shape = model["shapes"][name]
    short = shapes[name] = {"type": shape["type"]}
    for key in ("required", "min", "max", "pattern", "enum"):
        # Rust's regular expressions cannot look ahead: such patterns are left out.
        if shape.get(key, []) != [] and "(?!" not in str(shape[key]):
            short[key] = shape[key]
    if "members" in shape:
        kept = KEPT.get(name, shape["members"])
        short["members"] = {member: target["shape"] for member, target in shape["members"].items() if member in kept}
    for key in ("member", "key", "value"):
        if key in shape:
            short[key] = shape[key]["shape"]
    for target in short.get("members", {}).values():
        collect(model, target, shapes)
    for key in ("member", "key", "value"):
        if key in short:
            collect(model, short[key], shapes)


def lines(entries):
    return ",\n".join(f"{json.dumps(name)}:{json.dumps(entry, separators=(',', ':'))}" for name, entry in entries)


def extract(target, folder, service, names):
    with gzip.open(os.path.join(botocore.__path__[0], "data", folder, "service-2.json.gz")) as file:
        model = json.load(file)
    operations, shapes = {}, {}
    for name in names:
        operation = model["operations"][name]
        operations[name] = {way: operation[way]["shape"] for way in ("input", "output") if way in operation}
        for shape in operations[name].values():
            collect(model, shape, shapes)
    source = (
        f"{service} service model {folder.partition('/')[2]} (Apache-2.0), as in botocore {botocore.__version__}: "
        "documentation left out, references shortened to shape names"
    )
    with open(os.path.join(HERE, target), "w") as file:
        file.write(f'{{"source":{json.dumps(source)},\n"operations":{{\n{lines(operations.items())}}},\n')
        file.write(f'"shapes":{{\n{lines(sorted(shapes.items()))}}}}}\n')


if __name__ == "__main__":
    for entry in EXTRACTS:
        extract(*entry)
