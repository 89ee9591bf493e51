"""Writes instance_types.json: what DescribeInstanceTypes and DescribeInstanceTypeOfferings say of the instance types that the local
region has, from the answers of AWS (us-east-1) that the package moto carries. Run it with a Python that has moto.
"""
import gzip
import importlib.metadata
import json
import os

import moto

FAMILIES = ["t2", "t3", "t4g", "m5", "m6i", "m7i", "c5", "c6i", "r5", "r6i", "g4dn", "g5", "g6", "g6e", "p3", "p4d", "p5"]
SIZES = {"micro", "small", "medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge"}
SMALL = {"t2", "t3", "t4g", "m5", "m6i", "m7i", "c5", "c6i", "r5", "r6i"}
HERE = os.path.dirname(__file__)


def read(*path):
    with gzip.open(os.path.join(moto.__path__[0], "ec2", "resources", *path)) as file:
        return json.load(file)


def wanted(name):
    family, _, size = name.partition(".")
    return family in FAMILIES and size in SIZES and not (family in SMALL and size in {"12xlarge", "16xlarge", "24xlarge", "48xlarge"})


def known(about):
    """AWS answers some features that its own model does not list; typed clients could not read them."""
    features = about["ProcessorInfo"].get("SupportedFeatures")
    if features:
        about["ProcessorInfo"]["SupportedFeatures"] = [feature for feature in features if feature != "metal-compatibility"]
    return about


def main():
    zones = {}
    for offer in read("instance_type_offerings", "availability-zone", "us-east-1.json.gz"):
        zones.setdefault(offer["InstanceType"], []).append(offer["Location"][-1])
    types = {name: known(about) for name, about in read("instance_types.json.gz").items() if wanted(name) and name in zones}
    order = sorted(types, key=lambda name: (FAMILIES.index(name.split(".")[0]), types[name]["VCpuInfo"]["DefaultVCpus"], types[name]["MemoryInfo"]["SizeInMiB"]))
    source = f"answers of AWS for us-east-1, as in moto {importlib.metadata.version('moto')} (Apache-2.0)"
    rows = [json.dumps({"zones": "".join(sorted(zones[name])), "about": types[name]}, separators=(",", ":")) for name in order]
    with open(os.path.join(HERE, "instance_types.json"), "w") as file:
        file.write(f'{{"source":{json.dumps(source)},\n"types":[\n' + ",\n".join(rows) + "]}\n")


if __name__ == "__main__":
    main()
