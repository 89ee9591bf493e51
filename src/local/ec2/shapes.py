"""Writes shapes.json: the operations of EC2 that the local region offers, from botocore's service model of EC2.

EC2's protocol names members its own way, so each member comes with the name that it has in a query and the one that it has in
an answer. Run it with a Python that has botocore: python3 shapes.py
"""
import gzip
import json
import os

import botocore

OPERATIONS = [
    "AssociateIamInstanceProfile",
    "AuthorizeSecurityGroupEgress",
    "AuthorizeSecurityGroupIngress",
    "CreateSecurityGroup",
    "CreateTags",
    "DeleteSecurityGroup",
    "DeleteTags",
    "DescribeAvailabilityZones",
    "DescribeIamInstanceProfileAssociations",
    "DescribeImages",
    "DescribeInstanceAttribute",
    "DescribeInstanceConnectEndpoints",
    "DescribeInstanceCreditSpecifications",
    "DescribeInstanceStatus",
    "DescribeInstanceTypeOfferings",
    "DescribeInstanceTypes",
    "DescribeInstances",
    "DescribeNetworkInterfaces",
    "DescribeRegions",
    "DescribeSecurityGroupRules",
    "DescribeSecurityGroups",
    "DescribeSpotPriceHistory",
    "DescribeSubnets",
    "DescribeTags",
    "DescribeVolumes",
    "DescribeVpcs",
    "DisassociateIamInstanceProfile",
    "GetConsoleOutput",
    "ModifyInstanceAttribute",
    "RebootInstances",
    "RevokeSecurityGroupEgress",
    "RevokeSecurityGroupIngress",
    "RunInstances",
    "StartInstances",
    "StopInstances",
    "TerminateInstances",
]
HERE = os.path.dirname(__file__)
FOLDER = "ec2/2016-11-15"
# Long lists of names that the service checks by itself, in words of its own.
OPEN = {"InstanceType", "bootModeType"}


def capitalised(name):
    return name[:1].upper() + name[1:]


def collect(model, name, shapes):
    """Adds a shape and all that it refers to."""
    if name in shapes:
        return
    shape = model["shapes"][name]
    short = shapes[name] = {"type": shape["type"]}
    if shape.get("required"):
        short["required"] = shape["required"]
    if shape.get("enum") and name not in OPEN:
        short["enum"] = shape["enum"]
    if "members" in shape:
        short["members"] = {}
        for member, target in shape["members"].items():
            wire = target.get("locationName", member)
            # As botocore's serialiser for the protocol `ec2` and its parser do.
            asked = target.get("queryName") or capitalised(wire)
            short["members"][member] = [target["shape"], asked, wire]
            collect(model, target["shape"], shapes)
    if "member" in shape:
        short["member"] = [shape["member"]["shape"], shape["member"].get("locationName", "member")]
        collect(model, shape["member"]["shape"], shapes)


def lines(entries):
    return ",\n".join(f"{json.dumps(name)}:{json.dumps(entry, separators=(',', ':'))}" for name, entry in entries)


def main():
    with gzip.open(os.path.join(botocore.__path__[0], "data", FOLDER, "service-2.json.gz")) as file:
        model = json.load(file)
    operations, shapes = {}, {}
    for name in OPERATIONS:
        operation = model["operations"][name]
        operations[name] = {way: operation[way]["shape"] for way in ("input", "output") if way in operation}
        for shape in operations[name].values():
            collect(model, shape, shapes)
    source = (
        f"Amazon EC2 service model {FOLDER.partition('/')[2]} (Apache-2.0), as in botocore {botocore.__version__}: "
        "documentation left out; members are [shape, name in a query, name in an answer], list members [shape, name of an item]"
    )
    with open(os.path.join(HERE, "shapes.json"), "w") as file:
        file.write(f'{{"source":{json.dumps(source)},\n"operations":{{\n{lines(operations.items())}}},\n')
        file.write(f'"shapes":{{\n{lines(sorted(shapes.items()))}}}}}\n')


if __name__ == "__main__":
    main()
