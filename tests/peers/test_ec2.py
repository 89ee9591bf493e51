"""EC2 and EC2 Instance Connect, as boto3 and the aws command use them. Every answer to boto3 is held against botocore's model."""
import base64
import json
import re
import subprocess
import sys

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from jobs import unique
from region import Clients, wait_until

KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(range(32))).decode() + " test"
PARAMETER = "resolve:ssm:/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.7-ubuntu-22.04/latest/ami-id"


@pytest.fixture
def ec2(clients):
    """The client; what a test launched and left running goes, for the account's quota is small."""
    yield clients.ec2
    running = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
    ids = [instance["InstanceId"] for instance in instances(clients.ec2, Filters=running)]
    for instance in ids:
        clients.ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": False})
    if ids:
        clients.ec2.terminate_instances(InstanceIds=ids)


def instances(ec2, **arguments):
    pages = ec2.get_paginator("describe_instances").paginate(**arguments)
    return [instance for page in pages for reservation in page["Reservations"] for instance in reservation["Instances"]]


def image(ec2, name="Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.7 (Ubuntu 22.04)*"):
    found = ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "name", "Values": [name]}])["Images"]
    return max(found, key=lambda image: image["CreationDate"])


def launch(ec2, **arguments):
    arguments = {"ImageId": image(ec2)["ImageId"], "InstanceType": "t3.medium", "MinCount": 1, "MaxCount": 1, **arguments}
    return [instance["InstanceId"] for instance in ec2.run_instances(**arguments)["Instances"]]


def one(ec2, instance):
    return instances(ec2, InstanceIds=[instance])[0]


def until(ec2, instance, state):
    return wait_until(lambda: (shown := one(ec2, instance))["State"]["Name"] == state and shown, f"{instance} to be {state}")


def refusal(call, status=400, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    return answer["Error"]["Code"], answer["Error"]["Message"]


def test_an_instance_lives_as_on_aws(ec2):
    tags = [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": "a & b"}]} for kind in ("instance", "volume")]
    [instance] = launch(ec2, TagSpecifications=tags, MetadataOptions={"HttpTokens": "required"}, UserData="#!/bin/sh\necho hi\n")
    shown = until(ec2, instance, "running")
    assert shown["PublicIpAddress"].startswith("127.") and shown["PrivateIpAddress"].startswith("172.31.")
    assert shown["Tags"][0] == {"Key": "Name", "Value": "a & b"} and shown["MetadataOptions"]["HttpTokens"] == "required"
    [volume] = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])["Volumes"]
    assert (volume["Size"], volume["VolumeType"], volume["Tags"]) == (75, "gp3", [{"Key": "Name", "Value": "a & b"}])

    answer = ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]
    assert (answer["PreviousState"]["Name"], answer["CurrentState"]["Name"]) == ("running", "stopping")
    assert refusal(ec2.start_instances, InstanceIds=[instance]) == (
        "IncorrectInstanceState", f"The instance '{instance}' is not in a state from which it can be started.")
    stopped = until(ec2, instance, "stopped")
    assert "PublicIpAddress" not in stopped and stopped["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert stopped["StateTransitionReason"].startswith("User initiated (20")
    ec2.modify_instance_attribute(InstanceId=instance, InstanceType={"Value": "t3.large"})
    ec2.start_instances(InstanceIds=[instance])
    again = until(ec2, instance, "running")
    assert again["InstanceType"] == "t3.large" and again["PrivateIpAddress"] == shown["PrivateIpAddress"]
    assert again["LaunchTime"] > shown["LaunchTime"] and again["PublicIpAddress"] != shown["PublicIpAddress"]

    ec2.terminate_instances(InstanceIds=[instance])
    gone = until(ec2, instance, "terminated")
    assert "PublicIpAddress" not in gone and gone["BlockDeviceMappings"] == []
    assert refusal(ec2.describe_volumes, VolumeIds=[volume["VolumeId"]])[0] == "InvalidVolume.NotFound"


def test_waiters_work(ec2):
    [instance] = launch(ec2, ImageId=PARAMETER)
    config = {"Delay": 1, "MaxAttempts": 60}
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig=config)
    ec2.get_waiter("instance_status_ok").wait(InstanceIds=[instance], WaiterConfig=config)
    ec2.terminate_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig=config)


def test_a_client_token_launches_once(ec2):
    token = unique("token")
    first = launch(ec2, ClientToken=token, MaxCount=2)
    assert len(first) == 2 and launch(ec2, ClientToken=token, MaxCount=2) == first
    assert len(instances(ec2, Filters=[{"Name": "client-token", "Values": [token]}])) == 2
    arguments = {"ImageId": image(ec2)["ImageId"], "MinCount": 1, "MaxCount": 1, "ClientToken": token}
    assert refusal(ec2.run_instances, **arguments, InstanceType="t3.large")[0] == "IdempotentParameterMismatch"
    ec2.terminate_instances(InstanceIds=first)
    for instance in first:
        until(ec2, instance, "terminated")
    assert refusal(ec2.run_instances, **arguments | {"MaxCount": 2}, InstanceType="t3.medium")[0] == "IdempotentInstanceTerminated"


def test_a_wrong_launch_says_what_is_wrong(ec2):
    good = {"ImageId": image(ec2)["ImageId"], "InstanceType": "t3.medium", "MinCount": 1, "MaxCount": 1}
    snapshot = image(ec2)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]

    def refused(status=400, **changes):
        return refusal(ec2.run_instances, status, **{**good, **changes})

    assert refused(412, DryRun=True) == ("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
    assert refused(ImageId="ami-0123456789abcdef0") == ("InvalidAMIID.NotFound", "The image id '[ami-0123456789abcdef0]' does not exist")
    assert refused(ImageId="ubuntu") == ("InvalidAMIID.Malformed", 'Invalid id: "ubuntu"')
    assert refused(InstanceType="g5.huge") == ("InvalidParameterValue", "Invalid value 'g5.huge' for InstanceType.")
    assert refused(InstanceType="t4g.medium")[1].startswith("The architecture 'arm64' of the specified instance type does not match")
    small = [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}}]
    assert refused(BlockDeviceMappings=small) == (
        "InvalidBlockDeviceMapping", f"Volume of size 8GB is smaller than  snapshot '{snapshot}', expect size >= 75GB")
    assert refused(SubnetId="subnet-0123456789abcdef0")[0] == "InvalidSubnetID.NotFound"
    assert refused(SecurityGroupIds=["sg-0123456789abcdef0"]) == ("InvalidGroup.NotFound", "The security group 'sg-0123456789abcdef0' does not exist")
    assert refused(KeyName="mine") == ("InvalidKeyPair.NotFound", "The key pair 'mine' does not exist")
    assert refused(Placement={"AvailabilityZone": "us-east-1z"})[0] == "InvalidParameterValue"
    assert refused(Placement={"AvailabilityZone": "us-east-1e"})[0] == "Unsupported"
    code, message = refused(InstanceType="g5.4xlarge")
    assert code == "VcpuLimitExceeded" and message.startswith("You have requested more vCPU capacity than your current vCPU limit of 8 allows")
    code, message = refused(500, InstanceType="m5.4xlarge", Placement={"AvailabilityZone": "us-east-1a"})
    assert code == "InsufficientInstanceCapacity" and "us-east-1a" in message and message.endswith("us-east-1b, us-east-1c, us-east-1d, us-east-1f.")
    assert refused(MinCount=2)[0] == "InvalidParameterCombination"
    assert instances(ec2, Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}]) == []


def test_what_is_not_there_is_said(ec2):
    missing = "i-0123456789abcdef0"
    assert refusal(ec2.describe_instances, InstanceIds=[missing]) == ("InvalidInstanceID.NotFound", f"The instance ID '{missing}' does not exist")
    assert refusal(ec2.terminate_instances, InstanceIds=["mine"]) == ("InvalidInstanceID.Malformed", 'Invalid id: "mine"')
    assert refusal(ec2.describe_instances, Filters=[{"Name": "colour", "Values": ["red"]}]) == ("InvalidParameterValue", "The filter 'colour' is invalid")
    assert refusal(ec2.describe_instances, MaxResults=2)[1] == "Value ( 2 ) for parameter maxResults is invalid. Expecting a value greater than 5."
    assert refusal(ec2.create_tags, Resources=[missing], Tags=[{"Key": "a", "Value": ""}])[0] == "InvalidInstanceID.NotFound"
    assert refusal(ec2.get_console_output, InstanceId=missing)[0] == "InvalidInstanceID.NotFound"
    assert refusal(ec2.describe_nat_gateways)[0] == "InvalidAction"


def test_wrong_credentials_are_refused_in_ec2_s_words(region, watcher):
    watcher.violations.clear()
    for wrong in ({"secret": "wrong"}, {"key_id": "AKIAWRONG"}):
        client = Clients(region.env, watcher, **wrong).ec2
        assert refusal(client.describe_instances, 401) == ("AuthFailure", "AWS was not able to validate the provided access credentials")
    watcher.raise_violations()


def test_protection_holds_until_it_is_taken_away(ec2):
    [instance] = launch(ec2, DisableApiTermination=True, InstanceInitiatedShutdownBehavior="terminate")
    assert refusal(ec2.terminate_instances, InstanceIds=[instance]) == (
        "OperationNotPermitted", f"The instance '{instance}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.")
    told = ec2.describe_instance_attribute(InstanceId=instance, Attribute="instanceInitiatedShutdownBehavior")
    assert told["InstanceInitiatedShutdownBehavior"] == {"Value": "terminate"}
    until(ec2, instance, "running")
    assert refusal(ec2.modify_instance_attribute, InstanceId=instance, InstanceType={"Value": "t3.large"}) == (
        "IncorrectInstanceState", f"The instance '{instance}' is not in the 'stopped' state.")


def test_the_default_network_is_there(ec2):
    [vpc] = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    assert sorted(subnet["AvailabilityZone"] for subnet in subnets) == [zone["ZoneName"] for zone in zones]
    assert len(zones) == 6 and zones[0]["ZoneName"] == "us-east-1a"
    assert [region["RegionName"] for region in ec2.describe_regions()["Regions"]] == ["us-east-1"]
    [group] = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
    assert group["IpPermissions"][0]["UserIdGroupPairs"][0]["GroupId"] == group["GroupId"] and group["IpPermissions"][0]["IpRanges"] == []
    assert ec2.describe_instance_connect_endpoints()["InstanceConnectEndpoints"] == []


def test_types_images_and_prices_are_listed(ec2):
    pages = ec2.get_paginator("describe_instance_types").paginate(PaginationConfig={"PageSize": 20})
    types = {about["InstanceType"]: about for page in pages for about in page["InstanceTypes"]}
    assert types["g5.2xlarge"]["GpuInfo"]["Gpus"][0]["Name"] == "A10G" and len(types) > 80
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(LocationType="availability-zone")
    assert {offer["Location"] for page in pages for offer in page["InstanceTypeOfferings"]} == {f"us-east-1{letter}" for letter in "abcdef"}
    assert len(ec2.describe_images()["Images"]) > 10
    assert ec2.describe_images(Filters=[{"Name": "name", "Values": ["Deep Learning AMI GPU PyTorch 1.13.1 (Ubuntu 20.04)*"]}])["Images"] == []
    history = ec2.describe_spot_price_history(InstanceTypes=["g5.2xlarge"], ProductDescriptions=["Linux/UNIX"])["SpotPriceHistory"]
    assert 0 < float(history[0]["SpotPrice"]) < 1.212


def test_a_security_group_is_opened_used_and_deleted(ec2):
    name = unique("group")
    group = ec2.create_security_group(GroupName=name, Description="from one address")["GroupId"]
    assert refusal(ec2.create_security_group, GroupName=name, Description="again")[0] == "InvalidGroup.Duplicate"
    ssh = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "203.0.113.7/32", "Description": "me"}]}]
    answer = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=ssh)
    assert answer["Return"] and answer["SecurityGroupRules"][0]["CidrIpv4"] == "203.0.113.7/32"
    assert refusal(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=ssh) == (
        "InvalidPermission.Duplicate", 'the specified rule "peer: 203.0.113.7/32, TCP, from port: 22, to port: 22, ALLOW" already exists')
    [shown] = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert shown["IpPermissions"][0]["IpRanges"] == ssh[0]["IpRanges"] and len(shown["IpPermissionsEgress"]) == 1
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    assert sorted(rule["IsEgress"] for rule in rules) == [False, True]
    [instance] = launch(ec2, SecurityGroupIds=[group])
    assert one(ec2, instance)["SecurityGroups"] == [{"GroupId": group, "GroupName": name}]
    assert refusal(ec2.delete_security_group, GroupId=group) == ("DependencyViolation", f"resource {group} has a dependent object")
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=ssh)
    assert refusal(ec2.revoke_security_group_ingress, GroupId=group, IpPermissions=ssh)[0] == "InvalidPermission.NotFound"
    ec2.terminate_instances(InstanceIds=[instance])
    until(ec2, instance, "terminated")
    ec2.delete_security_group(GroupId=group)
    assert refusal(ec2.describe_security_groups, GroupIds=[group])[0] == "InvalidGroup.NotFound"


def test_pages_and_filters_find_each_instance_once(ec2):
    mark = unique("mark")
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "mark", "Value": mark}]}]
    ids = launch(ec2, MaxCount=7, InstanceType="t3.micro", TagSpecifications=tags)
    wanted = [{"Name": "tag:mark", "Values": [mark[:-1] + "?"]}]
    pages = list(ec2.get_paginator("describe_instances").paginate(Filters=wanted, PaginationConfig={"PageSize": 5}))
    found = [instance["InstanceId"] for page in pages for reservation in page["Reservations"] for instance in reservation["Instances"]]
    assert len(pages) == 2 and found == ids
    assert instances(ec2, Filters=wanted + [{"Name": "instance-type", "Values": ["m*"]}]) == []
    ec2.create_tags(Resources=ids[:2], Tags=[{"Key": "more", "Value": "1"}])
    tagged = ec2.describe_tags(Filters=[{"Name": "key", "Values": ["more"]}, {"Name": "resource-id", "Values": ids}])["Tags"]
    assert [tag["ResourceId"] for tag in tagged] == sorted(ids[:2])
    ec2.delete_tags(Resources=ids[:2], Tags=[{"Key": "more"}])
    assert ec2.describe_tags(Filters=[{"Name": "key", "Values": ["more"]}])["Tags"] == []
    statuses = ec2.describe_instance_status(InstanceIds=ids, IncludeAllInstances=True)["InstanceStatuses"]
    assert [status["InstanceId"] for status in statuses] == ids
    interfaces = ec2.describe_network_interfaces(Filters=[{"Name": "attachment.instance-id", "Values": ids[:1]}])["NetworkInterfaces"]
    assert interfaces[0]["Status"] == "in-use"


DESCRIBES = [
    "DescribeAddresses",
    "DescribeAvailabilityZones",
    "DescribeCapacityReservations",
    "DescribeDhcpOptions",
    "DescribeImages",
    "DescribeInstanceConnectEndpoints",
    "DescribeInstanceStatus",
    "DescribeInstanceTypeOfferings",
    "DescribeInstanceTypes",
    "DescribeInstances",
    "DescribeInternetGateways",
    "DescribeKeyPairs",
    "DescribeLaunchTemplates",
    "DescribeNetworkAcls",
    "DescribeNetworkInterfaces",
    "DescribePlacementGroups",
    "DescribeReservedInstances",
    "DescribeRouteTables",
    "DescribeSecurityGroupRules",
    "DescribeSecurityGroups",
    "DescribeSnapshots",
    "DescribeSpotInstanceRequests",
    "DescribeSubnets",
    "DescribeTags",
    "DescribeVolumes",
    "DescribeVpcPeeringConnections",
    "DescribeVpcs",
]


@pytest.mark.parametrize("operation", DESCRIBES)
def test_every_filter_of_the_documentation_is_known(ec2, operation):
    documentation = ec2.meta.service_model.operation_model(operation).input_shape.members["Filters"].documentation
    # Lists within an item are of a filter's values.
    outer = re.sub(r"(<li>(?:(?!</?li>).)*)<ul>.*?</ul>", r"\1", documentation.split("<ul>", 1)[1], flags=re.DOTALL)
    names = [name for name in re.findall(r"<li>\s*<p>\s*<code>([^<]+)</code>", outer) if name != "tag"]
    assert len(names) > 1
    describe = getattr(ec2, xform_name(operation))
    for name in [*names, "tag:some-key"]:
        describe(Filters=[{"Name": name, "Values": ["nothing-is-called-so"]}])
    assert refusal(describe, Filters=[{"Name": "no-such-filter", "Values": ["x"]}]) == (
        "InvalidParameterValue",
        "The filter 'no-such-filter' is invalid",
    )


def test_filters_look_where_their_names_say(ec2):
    [instance] = launch(ec2, TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": unique("t")}]}])
    shown = until(ec2, instance, "running")
    interface = shown["NetworkInterfaces"][0]
    filters = {
        "availability-zone": shown["Placement"]["AvailabilityZone"],
        "block-device-mapping.volume-id": shown["BlockDeviceMappings"][0]["Ebs"]["VolumeId"],
        "ebs-optimized": str(shown["EbsOptimized"]).lower(),
        "ena-support": "true",
        "instance-state-code": "16",
        "instance.group-name": "default",
        "ip-address": shown["PublicIpAddress"],
        "metadata-options.http-tokens": shown["MetadataOptions"]["HttpTokens"],
        "network-interface.attachment.attachment-id": interface["Attachment"]["AttachmentId"],
        "network-interface.attachment.instance-id": instance,
        "network-interface.group-id": interface["Groups"][0]["GroupId"],
        "network-interface.mac-address": interface["MacAddress"],
        "private-dns-name": shown["PrivateDnsName"],
        "tag:team": shown["Tags"][0]["Value"],
        "tenancy": "default",
    }
    for name, value in filters.items():
        only = {"Name": "instance-id", "Values": [instance]}
        found = instances(ec2, Filters=[only, {"Name": name, "Values": [value]}])
        assert [each["InstanceId"] for each in found] == [instance], (name, value)
        assert not instances(ec2, Filters=[only, {"Name": name, "Values": ["not-" + value]}]), name


def test_a_spot_instance_cannot_be_stopped(ec2):
    [instance] = launch(ec2, InstanceMarketOptions={"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.5"}})
    shown = until(ec2, instance, "running")
    assert shown["InstanceLifecycle"] == "spot" and shown["SpotInstanceRequestId"].startswith("sir-")
    assert refusal(ec2.stop_instances, InstanceIds=[instance])[0] == "UnsupportedOperation"
    low = {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.0001"}}
    arguments = {"ImageId": PARAMETER, "InstanceType": "t3.medium", "MinCount": 1, "MaxCount": 1}
    assert refusal(ec2.run_instances, **arguments, InstanceMarketOptions=low)[0] == "SpotMaxPriceTooLow"


def test_the_console_shows_the_host_keys(ec2):
    [instance] = launch(ec2)
    until(ec2, instance, "running")
    # boto3 decodes it; the command line does not.
    text = ec2.get_console_output(InstanceId=instance, Latest=True)["Output"]
    assert "-----BEGIN SSH HOST KEY KEYS-----" in text and "-----END SSH HOST KEY KEYS-----" in text


def test_a_key_is_sent_to_a_running_instance_only(clients, ec2):
    connect = getattr(clients, "ec2-instance-connect")
    [instance] = launch(ec2)
    good = {"InstanceId": instance, "InstanceOSUser": "ubuntu", "SSHPublicKey": KEY}
    assert refusal(connect.send_ssh_public_key, **good)[0] == "EC2InstanceStateInvalidException"
    zone = until(ec2, instance, "running")["Placement"]["AvailabilityZone"]
    assert connect.send_ssh_public_key(**good, AvailabilityZone=zone)["Success"] is True
    code, message = refusal(connect.send_ssh_public_key, **{**good, "InstanceId": "mi-0123456789abcdef0"})
    assert code == "InvalidArgsException" and message.startswith("1 validation error detected: Value 'mi-0123456789abcdef0' at 'instanceId' failed")
    assert refusal(connect.send_ssh_public_key, 404, **{**good, "InstanceId": "i-0123456789abcdef0"})[0] == "EC2InstanceNotFoundException"
    assert refusal(connect.send_ssh_public_key, **{**good, "SSHPublicKey": "ssh-dss " + "A" * 100})[0] == "InvalidArgsException"
    assert refusal(connect.send_ssh_public_key, **{**good, "InstanceOSUser": "no spaces"})[0] == "InvalidArgsException"


def test_instances_come_back_with_a_region_that_was_killed(own_region, watcher):
    watcher.violations.clear()
    ec2 = Clients(own_region.env, watcher).ec2
    [running, stopped] = launch(ec2, MaxCount=2)
    until(ec2, running, "running"), until(ec2, stopped, "running")
    ec2.stop_instances(InstanceIds=[stopped])
    until(ec2, stopped, "stopped")
    console = ec2.get_console_output(InstanceId=running)["Output"]
    own_region.kill()
    own_region.start()
    ec2 = Clients(own_region.env, watcher).ec2
    shown = one(ec2, running)
    assert shown["State"]["Name"] == "running" and shown["StateTransitionReason"].startswith("Rebooted with the local region")
    assert one(ec2, stopped)["State"]["Name"] == "stopped"
    keys = [line for line in console.splitlines() if "ssh-ed25519" in line]
    assert keys and all(key in ec2.get_console_output(InstanceId=running)["Output"] for key in keys)
    watcher.raise_violations()


def test_the_aws_command_launches_and_looks(region, ec2, tmp_path):
    def aws(*arguments):
        env = {**region.env, "HOME": str(tmp_path), "AWS_PAGER": ""}
        done = subprocess.run([sys.executable, "-m", "awscli", *arguments, "--output", "json"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        return done.returncode, json.loads(done.stdout or b"{}"), done.stderr.decode()

    mark = unique("cli")
    tags = f"ResourceType=instance,Tags=[{{Key=Name,Value={mark}}}]"
    code, launched, _ = aws("ec2", "run-instances", "--image-id", PARAMETER, "--instance-type", "t3.medium", "--count", "1", "--tag-specifications", tags,
                            "--block-device-mappings", "DeviceName=/dev/sda1,Ebs={VolumeSize=100,VolumeType=gp3}", "--user-data", "#!/bin/sh\necho hi")
    instance = launched["Instances"][0]["InstanceId"]
    assert code == 0 and launched["Instances"][0]["State"]["Name"] == "pending"
    assert aws("ec2", "wait", "instance-running", "--instance-ids", instance)[0] == 0
    _, shown, _ = aws("ec2", "describe-instances", "--filters", f"Name=tag:Name,Values={mark}", "Name=instance-state-name,Values=running")
    assert shown["Reservations"][0]["Instances"][0]["InstanceId"] == instance
    _, sizes, _ = aws("ec2", "describe-volumes", "--filters", f"Name=attachment.instance-id,Values={instance}", "--query", "Volumes[].Size")
    assert sizes == [100]
    code, _, said = aws("ec2", "run-instances", "--image-id", PARAMETER, "--instance-type", "t3.medium", "--dry-run")
    assert code != 0 and "(DryRunOperation)" in said
    code, sent, _ = aws("ec2-instance-connect", "send-ssh-public-key", "--instance-id", instance, "--instance-os-user", "ubuntu", "--ssh-public-key", KEY)
    assert code == 0 and sent["Success"] is True
    assert aws("ec2", "reboot-instances", "--instance-ids", instance)[0] == 0
    code, ended, _ = aws("ec2", "terminate-instances", "--instance-ids", instance)
    assert code == 0 and ended["TerminatingInstances"][0]["CurrentState"]["Name"] == "shutting-down"


def ssh(ec2, clients, instance, folder, command):
    """Logs in as the user guide says: a key of this call's own, and the host key from the console."""
    key = folder / "key"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    shown = one(ec2, instance)
    port = next((tag["Value"] for tag in shown.get("Tags", []) if tag["Key"] == "footplate:ssh-port"), "22")
    console = ec2.get_console_output(InstanceId=instance, Latest=True)["Output"].splitlines()
    first, last = (next(at for at, line in enumerate(console) if f"-----{word} SSH HOST KEY KEYS-----" in line) for word in ("BEGIN", "END"))
    address = shown["PublicIpAddress"]
    known = folder / "known_hosts"
    known.write_text("".join(f"[{address}]:{port},{address} {' '.join(line.split()[-3:-1])}\n" for line in console[first + 1:last]))
    getattr(clients, "ec2-instance-connect").send_ssh_public_key(InstanceId=instance, InstanceOSUser="ubuntu", SSHPublicKey=(folder / "key.pub").read_text())
    options = ["-F", "none", "-i", key, "-p", port, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}", "-o", "IdentitiesOnly=yes"]
    return subprocess.run(["ssh", *options, f"ubuntu@{address}", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)


def test_one_logs_in_with_a_sent_key_and_the_console_s_host_key(clients, ec2, tmp_path):
    [instance] = launch(ec2, ImageId=image(ec2, "*PyTorch 2.5.1 (Ubuntu 22.04)*")["ImageId"])
    until(ec2, instance, "running")
    done = ssh(ec2, clients, instance, tmp_path, "touch kept; source activate pytorch && python -V && whoami && echo $CONDA_DEFAULT_ENV")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Python 3.") and done.stdout.splitlines()[2] == "pytorch"
    ec2.reboot_instances(InstanceIds=[instance])
    # The home is still there after a reboot, and so is the host key.
    wait_until(lambda: (done := ssh(ec2, clients, instance, tmp_path, "ls")).returncode == 0 and "kept" in done.stdout, "the machine to be up again")


@pytest.mark.parametrize("behaviour, state", [("stop", "stopped"), ("terminate", "terminated")])
def test_a_shutdown_inside_does_what_was_asked_for_at_the_launch(clients, ec2, tmp_path, behaviour, state):
    [instance] = launch(ec2, InstanceInitiatedShutdownBehavior=behaviour, DisableApiTermination=True)
    until(ec2, instance, "running")
    ssh(ec2, clients, instance, tmp_path, "sudo shutdown -h now")
    assert until(ec2, instance, state)["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
