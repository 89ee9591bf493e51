"""Writes shapes.json: the operations of EC2 that the local region offers, from botocore's service model of EC2.

EC2's protocol names members its own way, so each member comes with the name that it has in a query and the one that it has in
an answer. An operation that takes filters comes with those that its documentation names, each with the place of its values in
an answer. Run it with a Python that has botocore: python3 shapes.py
"""
import gzip
import json
import os
import re
from html.parser import HTMLParser

import botocore

OPERATIONS = [
    "AssociateIamInstanceProfile",
    "AuthorizeSecurityGroupEgress",
    "AuthorizeSecurityGroupIngress",
    "CancelSpotInstanceRequests",
    "CreateKeyPair",
    "CreateLaunchTemplate",
    "CreateLaunchTemplateVersion",
    "CreateSecurityGroup",
    "CreateTags",
    "DeleteKeyPair",
    "DeleteLaunchTemplate",
    "DeleteSecurityGroup",
    "DeleteTags",
    "DescribeAccountAttributes",
    "DescribeAddresses",
    "DescribeAvailabilityZones",
    "DescribeCapacityReservations",
    "DescribeDhcpOptions",
    "DescribeIamInstanceProfileAssociations",
    "DescribeImages",
    "DescribeInstanceAttribute",
    "DescribeInstanceConnectEndpoints",
    "DescribeInstanceCreditSpecifications",
    "DescribeInstanceStatus",
    "DescribeInstanceTypeOfferings",
    "DescribeInstanceTypes",
    "DescribeInstances",
    "DescribeInternetGateways",
    "DescribeKeyPairs",
    "DescribeLaunchTemplateVersions",
    "DescribeLaunchTemplates",
    "DescribeNetworkAcls",
    "DescribeNetworkInterfaces",
    "DescribePlacementGroups",
    "DescribeRegions",
    "DescribeReservedInstances",
    "DescribeRouteTables",
    "DescribeSecurityGroupRules",
    "DescribeSecurityGroups",
    "DescribeSnapshots",
    "DescribeSpotInstanceRequests",
    "DescribeSpotPriceHistory",
    "DescribeSubnets",
    "DescribeTags",
    "DescribeVolumes",
    "DescribeVpcAttribute",
    "DescribeVpcPeeringConnections",
    "DescribeVpcs",
    "DisassociateIamInstanceProfile",
    "GetConsoleOutput",
    "GetPasswordData",
    "ImportKeyPair",
    "ModifyInstanceAttribute",
    "ModifyInstanceMetadataOptions",
    "ModifyLaunchTemplate",
    "ModifySecurityGroupRules",
    "MonitorInstances",
    "RebootInstances",
    "ReplaceIamInstanceProfileAssociation",
    "ResetInstanceAttribute",
    "RevokeSecurityGroupEgress",
    "RevokeSecurityGroupIngress",
    "RunInstances",
    "StartInstances",
    "StopInstances",
    "TerminateInstances",
    "UnmonitorInstances",
    "UpdateSecurityGroupRuleDescriptionsEgress",
    "UpdateSecurityGroupRuleDescriptionsIngress",
]
HERE = os.path.dirname(__file__)
FOLDER = "ec2/2016-11-15"
# Names that the service checks by itself, in words of its own: long lists, and one that has fewer than the documentation.
OPEN = {"AccountAttributeName", "InstanceType", "bootModeType"}
# Lists of an answer that are not the resources that filters choose among.
BESIDE = {"NextToken"}
# Filters whose names do not lead to their values by themselves, and older names that the documentation has no longer. Reservations
# are one with their instances here, as `instance.rs` shows them to filters.
PLACES = {
    # boto3's resources ask by it.
    "DescribeAddresses": {"domain": "Domain"},
    "DescribeAvailabilityZones": {"message": "Messages.Message"},
    "DescribeDhcpOptions": {"key": "DhcpConfigurations.Key", "value": "DhcpConfigurations.Values.Value"},
    "DescribeImages": {
        "is-public": "Public",
        "manifest-location": "ImageLocation",
        "owner-alias": "ImageOwnerAlias",
        "product-code": "ProductCodes.ProductCodeId",
        "product-code.type": "ProductCodes.ProductCodeType",
    },
    "DescribeInstanceConnectEndpoints": {"tag-value": "Tags.Value"},
    "DescribeInstanceStatus": {
        "instance-status.reachability": "InstanceStatus.Details.Status",
        "system-status.reachability": "SystemStatus.Details.Status",
    },
    "DescribeInstances": {
        "affinity": "Placement.Affinity",
        "availability-zone": "Placement.AvailabilityZone",
        "availability-zone-id": "Placement.AvailabilityZoneId",
        "dns-name": "PublicDnsName",
        "group-id": "SecurityGroups.GroupId",
        "group-name": "SecurityGroups.GroupName",
        "host-id": "Placement.HostId",
        "instance-state-code": "State.Code",
        "instance-state-name": "State.Name",
        "instance.group-id": "SecurityGroups.GroupId",
        "instance.group-name": "SecurityGroups.GroupName",
        "ip-address": "PublicIpAddress",
        "launch-index": "AmiLaunchIndex",
        **{
            f"network-interface.addresses.{name}": f"NetworkInterfaces.PrivateIpAddresses.{place}"
            for name, place in [
                ("association.ip-owner-id", "Association.IpOwnerId"),
                ("association.public-ip", "Association.PublicIp"),
                ("primary", "Primary"),
                ("private-ip-address", "PrivateIpAddress"),
            ]
        },
        "network-interface.attachment.instance-id": "InstanceId",
        "network-interface.attachment.instance-owner-id": "OwnerId",
        "network-interface.availability-zone": "Placement.AvailabilityZone",
        "network-interface.group-id": "NetworkInterfaces.Groups.GroupId",
        "network-interface.group-name": "NetworkInterfaces.Groups.GroupName",
        "network-interface.ipv6-address": "NetworkInterfaces.Ipv6Addresses.Ipv6Address",
        "network-interface.public-dns-name": "PublicDnsName",
        "owner-id": "OwnerId",
        "placement-group-name": "Placement.GroupName",
        "product-code": "ProductCodes.ProductCodeId",
        "product-code.type": "ProductCodes.ProductCodeType",
        "reason": "StateTransitionReason",
        "requester-id": "RequesterId",
        "reservation-id": "ReservationId",
        "tenancy": "Placement.Tenancy",
    },
    "DescribeKeyPairs": {"fingerprint": "KeyFingerprint"},
    "DescribeLaunchTemplateVersions": {
        "ebs-optimized": "LaunchTemplateData.EbsOptimized",
        "http-endpoint": "LaunchTemplateData.MetadataOptions.HttpEndpoint",
        "http-protocol-ipv4": "",
        "http-tokens": "LaunchTemplateData.MetadataOptions.HttpTokens",
        "iam-instance-profile": "LaunchTemplateData.IamInstanceProfile.Arn",
        "image-id": "LaunchTemplateData.ImageId",
        "instance-type": "LaunchTemplateData.InstanceType",
        "is-default-version": "DefaultVersion",
    },
    "DescribeNetworkAcls": {
        "association.association-id": "Associations.NetworkAclAssociationId",
        "default": "IsDefault",
        "entry.cidr": "Entries.CidrBlock",
        "entry.egress": "Entries.Egress",
        "entry.icmp.code": "Entries.IcmpTypeCode.Code",
        "entry.icmp.type": "Entries.IcmpTypeCode.Type",
        "entry.ipv6-cidr": "Entries.Ipv6CidrBlock",
        "entry.port-range.from": "Entries.PortRange.From",
        "entry.port-range.to": "Entries.PortRange.To",
        "entry.protocol": "Entries.Protocol",
        "entry.rule-action": "Entries.RuleAction",
        "entry.rule-number": "Entries.RuleNumber",
    },
    "DescribeNetworkInterfaces": {
        "addresses.association.owner-id": "PrivateIpAddresses.Association.IpOwnerId",
        "addresses.association.public-ip": "PrivateIpAddresses.Association.PublicIp",
        "addresses.primary": "PrivateIpAddresses.Primary",
        "addresses.private-ip-address": "PrivateIpAddresses.PrivateIpAddress",
        "group-id": "Groups.GroupId",
        "group-name": "Groups.GroupName",
    },
    "DescribeSecurityGroups": {
        f"{side}ip-permission.{name}": f"{member}.{place}"
        for side, member in [("", "IpPermissions"), ("egress.", "IpPermissionsEgress")]
        for name, place in [
            ("cidr", "IpRanges.CidrIp"),
            ("from-port", "FromPort"),
            ("group-id", "UserIdGroupPairs.GroupId"),
            ("group-name", "UserIdGroupPairs.GroupName"),
            ("ipv6-cidr", "Ipv6Ranges.CidrIpv6"),
            ("prefix-list-id", "PrefixListIds.PrefixListId"),
            ("protocol", "IpProtocol"),
            ("to-port", "ToPort"),
            ("user-id", "UserIdGroupPairs.UserId"),
        ]
    },
    "DescribeSnapshots": {"status": "State"},
    "DescribeSpotInstanceRequests": {
        **{
            f"launch.{name}": f"LaunchSpecification.{place}"
            for name, place in [
                ("block-device-mapping.delete-on-termination", "BlockDeviceMappings.Ebs.DeleteOnTermination"),
                ("block-device-mapping.device-name", "BlockDeviceMappings.DeviceName"),
                ("block-device-mapping.snapshot-id", "BlockDeviceMappings.Ebs.SnapshotId"),
                ("block-device-mapping.volume-size", "BlockDeviceMappings.Ebs.VolumeSize"),
                ("block-device-mapping.volume-type", "BlockDeviceMappings.Ebs.VolumeType"),
                ("group-id", "SecurityGroups.GroupId"),
                ("group-name", "SecurityGroups.GroupName"),
                ("image-id", "ImageId"),
                ("instance-type", "InstanceType"),
                ("kernel-id", "KernelId"),
                ("key-name", "KeyName"),
                ("monitoring-enabled", "Monitoring.Enabled"),
                ("ramdisk-id", "RamdiskId"),
            ]
        },
        **{
            f"network-interface.{name}": f"LaunchSpecification.NetworkInterfaces.{place}"
            for name, place in [
                ("addresses.primary", "PrivateIpAddresses.Primary"),
                ("delete-on-termination", "DeleteOnTermination"),
                ("description", "Description"),
                ("device-index", "DeviceIndex"),
                ("group-id", "Groups"),
                ("network-interface-id", "NetworkInterfaceId"),
                ("private-ip-address", "PrivateIpAddress"),
                ("subnet-id", "SubnetId"),
            ]
        },
    },
    "DescribeSubnets": {
        "availabilityZone": "AvailabilityZone",
        "cidr": "CidrBlock",
        "cidrBlock": "CidrBlock",
        "defaultForAz": "DefaultForAz",
        "ipv6-cidr-block-association.state": "Ipv6CidrBlockAssociationSet.Ipv6CidrBlockState.State",
    },
    "DescribeVolumes": {"attachment.status": "Attachments.State", "status": "State"},
    "DescribeVpcs": {
        "cidr": "CidrBlock",
        "cidr-block-association.state": "CidrBlockAssociationSet.CidrBlockState.State",
        "ipv6-cidr-block-association.state": "Ipv6CidrBlockAssociationSet.Ipv6CidrBlockState.State",
        "isDefault": "IsDefault",
    },
}


class Names(HTMLParser):
    """The names of filters in the documentation of `Filters`: what each item of its outer list begins with."""

    def __init__(self):
        super().__init__()
        self.depth, self.begins, self.inside, self.names = 0, False, False, []

    def handle_starttag(self, tag, attributes):
        if tag == "ul":
            self.depth += 1
        if tag == "li":
            self.begins = self.depth == 1
        if tag == "code":
            self.inside = self.begins
            self.begins = False

    def handle_endtag(self, tag):
        if tag == "ul":
            self.depth -= 1
        if tag == "code":
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            # Two names for one: `availability-zone (availabilityZone)` has them in tags of their own.
            self.names.append(data)


def places(model, name):
    """The filters of an operation and where their values are in an item of its answer; an empty place where an answer has none."""
    operation = model["operations"][name]
    members = model["shapes"][operation["input"]["shape"]]["members"]
    if "Filters" not in members:
        return None
    reader = Names()
    reader.feed(members["Filters"]["documentation"])
    # `tag:<key>` and `tag-key` are the same for all.
    names = [name for name in reader.names if not name.startswith("tag:") and name not in ("tag", "tag-key")]
    answer = model["shapes"][operation["output"]["shape"]]["members"]
    [resources] = [member["shape"] for member_name, member in answer.items() if member_name not in BESIDE]
    item = model["shapes"][resources]["member"]["shape"]
    if name == "DescribeInstances":
        item = "Instance"
    return {**{each: place(model, item, each) or "" for each in names}, **PLACES.get(name, {})}


def place(model, shape, name):
    """Where `launch-time`, `ebs-info.nvme-support` or `state-reason-code` is, from a shape on."""
    shape = model["shapes"][shape]
    if shape["type"] == "list":
        return place(model, shape["member"]["shape"], name)
    members = shape.get("members", {})
    if not name:
        return None if members else ""
    words = re.split(r"([.-])", name)
    for end in range(len(words), 0, -2):
        wanted, rest = "".join(words[:end:2]).lower(), "".join(words[end + 1 :])
        for member, target in members.items():
            if member.lower() in (wanted, wanted + "s", wanted + "es", wanted + "set"):
                found = place(model, target["shape"], rest)
                if found is not None:
                    return f"{member}.{found}".rstrip(".")
    # What a device is mapped to.
    if "Ebs" in members:
        found = place(model, members["Ebs"]["shape"], name)
        return found and f"Ebs.{found}"
    return None


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
        for shape in list(operations[name].values()):
            collect(model, shape, shapes)
        filters = places(model, name)
        if filters is not None:
            operations[name]["filters"] = filters
    source = (
        f"Amazon EC2 service model {FOLDER.partition('/')[2]} (Apache-2.0), as in botocore {botocore.__version__}: "
        "documentation left out; members are [shape, name in a query, name in an answer], list members [shape, name of an item]"
    )
    with open(os.path.join(HERE, "shapes.json"), "w") as file:
        file.write(f'{{"source":{json.dumps(source)},\n"operations":{{\n{lines(operations.items())}}},\n')
        file.write(f'"shapes":{{\n{lines(sorted(shapes.items()))}}}}}\n')


if __name__ == "__main__":
    main()
