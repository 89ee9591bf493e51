"""What other clients of EC2 than footplate do on their way to a machine: key pairs, templates, spot requests, what the network is like."""
import base64
import hashlib
import json
import subprocess
import sys
from urllib.parse import urlsplit

import boto3
import pytest
from libcloud.compute.providers import get_driver
from libcloud.compute.types import KeyPairDoesNotExistError, NodeState, Provider
from jobs import unique
from region import wait_until
from test_ec2 import ec2, image, instances, launch, one, refusal, until  # noqa: F401 (ec2 is a fixture)

NAMED = {"ImageId": "", "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}


def login(shown, key, *command, user="ubuntu"):
    """OpenSSH's client with a private key in a file and nothing else."""
    port = next((tag["Value"] for tag in shown.get("Tags", []) if tag["Key"] == "footplate:ssh-port"), "22")
    options = ["-F", "none", "-i", key, "-p", port]
    for option in ("BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"):
        options += ["-o", option]
    return subprocess.run(["ssh", *options, f"{user}@{shown['PublicIpAddress']}", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)


def private(folder, material):
    path = folder / unique("key")
    path.write_text(material)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("kind, begins", [(None, "RSA"), ("rsa", "RSA"), ("ed25519", "OPENSSH")])
def test_one_logs_in_with_a_key_pair(ec2, tmp_path, kind, begins):
    name = unique("pair")
    tags = [{"ResourceType": "key-pair", "Tags": [{"Key": "team", "Value": "a"}]}]
    made = ec2.create_key_pair(KeyName=name, TagSpecifications=tags, **({"KeyType": kind} if kind else {}))
    assert made["KeyMaterial"].startswith(f"-----BEGIN {begins} PRIVATE KEY-----\n")
    assert (made["KeyName"], made["Tags"]) == (name, [{"Key": "team", "Value": "a"}])
    assert refusal(ec2.create_key_pair, KeyName=name) == ("InvalidKeyPair.Duplicate", "The keypair already exists")
    ec2.get_waiter("key_pair_exists").wait(KeyNames=[name], WaiterConfig={"Delay": 1, "MaxAttempts": 10})
    [shown] = ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": [name]}], IncludePublicKey=True)["KeyPairs"]
    assert (shown["KeyType"], shown["KeyFingerprint"], shown["KeyPairId"]) == (kind or "rsa", made["KeyFingerprint"], made["KeyPairId"])
    assert "KeyMaterial" not in str(shown) and shown["PublicKey"].endswith(f" {name}")
    key = private(tmp_path, made["KeyMaterial"])
    derived = subprocess.run(["ssh-keygen", "-y", "-f", key], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert derived.split()[:2] == shown["PublicKey"].split()[:2]

    [instance] = launch(ec2, KeyName=name, InstanceType="t3.micro")
    about = until(ec2, instance, "running")
    assert about["KeyName"] == name
    assert [each["InstanceId"] for each in instances(ec2, Filters=[{"Name": "key-name", "Values": [name]}])] == [instance]
    metadata = 'for at in public-keys/ public-keys/0/ public-keys/0/openssh-key; do curl -s "${AWS_EC2_METADATA_SERVICE_ENDPOINT%/}/latest/meta-data/$at" -H "X-aws-ec2-metadata-token: $TOKEN"; echo; done'
    token = 'TOKEN=$(curl -s -X PUT "${AWS_EC2_METADATA_SERVICE_ENDPOINT%/}/latest/api/token" -H "X-aws-ec2-metadata-token-ttl-seconds: 60")'
    done = login(about, key, f"cat .ssh/authorized_keys; {token}; {metadata}")
    assert done.returncode == 0, done.stderr
    line = shown["PublicKey"]
    assert done.stdout.splitlines() == [line, f"0={name}", "openssh-key", line]
    assert login(about, key, "true", user="root").returncode == 255

    # The pair is for launches only: what was launched with it keeps its key.
    assert ec2.delete_key_pair(KeyName=name)["KeyPairId"] == made["KeyPairId"]
    assert login(about, key, "true").returncode == 0
    assert refusal(ec2.describe_key_pairs, KeyNames=[name]) == ("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")
    assert refusal(ec2.run_instances, **NAMED | {"ImageId": image(ec2)["ImageId"]}, KeyName=name)[0] == "InvalidKeyPair.NotFound"
    assert ec2.delete_key_pair(KeyName=name)["Return"] is True


def test_a_key_is_brought_along(ec2, tmp_path):
    keygen = ["ssh-keygen", "-q", "-N", "", "-C", "me@home"]
    subprocess.run([*keygen, "-t", "rsa", "-b", "3072", "-f", tmp_path / "rsa"], check=True)
    subprocess.run([*keygen, "-t", "ed25519", "-f", tmp_path / "ed25519"], check=True)
    subprocess.run([*keygen, "-t", "ecdsa", "-f", tmp_path / "ecdsa"], check=True)
    pem = subprocess.run(["ssh-keygen", "-e", "-m", "PKCS8", "-f", tmp_path / "rsa.pub"], stdout=subprocess.PIPE, text=True, check=True).stdout
    der = base64.b64decode("".join(line for line in pem.splitlines() if not line.startswith("-")))
    blob = base64.b64decode((tmp_path / "ed25519.pub").read_text().split()[1])
    names = {kind: unique(kind) for kind in ("rsa", "ed25519")}
    rsa = ec2.import_key_pair(KeyName=names["rsa"], PublicKeyMaterial=(tmp_path / "rsa.pub").read_bytes())
    assert rsa["KeyFingerprint"].replace(":", "") == hashlib.md5(der).hexdigest()
    ed25519 = ec2.import_key_pair(KeyName=names["ed25519"], PublicKeyMaterial=(tmp_path / "ed25519.pub").read_bytes())
    assert ed25519["KeyFingerprint"] == base64.b64encode(hashlib.sha256(blob).digest()).decode()
    for wrong in ((tmp_path / "ecdsa.pub").read_bytes(), b"ssh-rsa hello", (tmp_path / "rsa").read_bytes()):
        assert refusal(ec2.import_key_pair, KeyName=unique("wrong"), PublicKeyMaterial=wrong)[0] == "InvalidKey.Format"
    assert refusal(ec2.import_key_pair, 412, KeyName="dry", PublicKeyMaterial=(tmp_path / "rsa.pub").read_bytes(), DryRun=True)[0] == "DryRunOperation"
    ids = launch(ec2, KeyName=names["rsa"], InstanceType="t3.micro") + launch(ec2, KeyName=names["ed25519"], InstanceType="t3.micro")
    for instance, kind in zip(ids, ("rsa", "ed25519")):
        done = login(until(ec2, instance, "running"), tmp_path / kind, "echo $USER")
        assert done.stdout == "ubuntu\n", done.stderr
    ec2.create_tags(Resources=[rsa["KeyPairId"]], Tags=[{"Key": "team", "Value": "b"}])
    assert [pair["KeyName"] for pair in ec2.describe_key_pairs(Filters=[{"Name": "tag:team", "Values": ["b"]}])["KeyPairs"]] == [names["rsa"]]
    for pair in (rsa, ed25519):
        ec2.delete_key_pair(KeyPairId=pair["KeyPairId"])
    assert ec2.describe_key_pairs()["KeyPairs"] == []


def test_a_spot_instance_names_its_request(ec2):
    spot = {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.05"}}
    [instance] = launch(ec2, InstanceType="t3.micro", InstanceMarketOptions=spot)
    request = one(ec2, instance)["SpotInstanceRequestId"]
    config = {"Delay": 1, "MaxAttempts": 30}
    ec2.get_waiter("spot_instance_request_fulfilled").wait(SpotInstanceRequestIds=[request], WaiterConfig=config)
    [shown] = ec2.describe_spot_instance_requests(Filters=[{"Name": "instance-id", "Values": [instance]}, {"Name": "launch.instance-type", "Values": ["t3.micro"]}])["SpotInstanceRequests"]
    assert (shown["SpotInstanceRequestId"], shown["State"], shown["Status"]["Code"], shown["Type"], shown["SpotPrice"]) == (request, "active", "fulfilled", "one-time", "0.05")
    assert ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request])["CancelledSpotInstanceRequests"] == [{"SpotInstanceRequestId": request, "State": "cancelled"}]
    [shown] = ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[request])["SpotInstanceRequests"]
    assert (shown["State"], shown["Status"]["Code"]) == ("cancelled", "request-canceled-and-instance-running")
    until(ec2, instance, "running")
    assert refusal(ec2.describe_spot_instance_requests, SpotInstanceRequestIds=["sir-00000000"]) == (
        "InvalidSpotInstanceRequestID.NotFound", "The spot instance request ID 'sir-00000000' does not exist")


def test_a_template_is_launched_and_what_the_launch_says_goes_before(ec2):
    name = unique("template")
    data = {"ImageId": image(ec2)["ImageId"], "InstanceType": "t3.micro", "IamInstanceProfile": {"Name": "trainer"},
            "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 90}}],
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "of", "Value": "template"}]}]}
    template = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)["LaunchTemplate"]
    assert refusal(ec2.create_launch_template, LaunchTemplateName=name, LaunchTemplateData=data)[0] == "InvalidLaunchTemplateName.AlreadyExistsException"
    ec2.create_launch_template_version(LaunchTemplateName=name, SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.small"})
    versions = ec2.describe_launch_template_versions(LaunchTemplateId=template["LaunchTemplateId"])["LaunchTemplateVersions"]
    assert [(version["VersionNumber"], version["DefaultVersion"], version["LaunchTemplateData"]["InstanceType"]) for version in versions] == [
        (2, False, "t3.small"), (1, True, "t3.micro")]
    assert versions[0]["LaunchTemplateData"]["BlockDeviceMappings"] == data["BlockDeviceMappings"]

    def run(version, **more):
        template = {"LaunchTemplateName": name, **({"Version": version} if version else {})}
        [launched] = ec2.run_instances(LaunchTemplate=template, MinCount=1, MaxCount=1, **more)["Instances"]
        return launched["InstanceId"], launched

    instance, launched = run(None)
    assert (launched["InstanceType"], launched["IamInstanceProfile"]["Arn"].rpartition("/")[2]) == ("t3.micro", "trainer")
    tags = {tag["Key"]: tag["Value"] for tag in launched["Tags"]}
    assert tags == {"of": "template", "aws:ec2launchtemplate:id": template["LaunchTemplateId"], "aws:ec2launchtemplate:version": "1"}
    [volume] = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])["Volumes"]
    assert volume["Size"] == 90
    assert run("$Latest")[1]["InstanceType"] == "t3.small"
    assert run("2", InstanceType="t3.medium")[1]["InstanceType"] == "t3.medium"
    assert refusal(ec2.run_instances, LaunchTemplate={"LaunchTemplateName": name, "Version": "7"}, MinCount=1, MaxCount=1)[0] == "InvalidLaunchTemplateId.VersionNotFound"
    assert ec2.modify_launch_template(LaunchTemplateName=name, DefaultVersion="2")["LaunchTemplate"]["DefaultVersionNumber"] == 2
    ec2.delete_launch_template(LaunchTemplateName=name)
    gone = {"LaunchTemplateId": template["LaunchTemplateId"]}
    assert refusal(ec2.run_instances, LaunchTemplate=gone, MinCount=1, MaxCount=1)[0] == "InvalidLaunchTemplateId.NotFound"
    assert refusal(ec2.describe_launch_templates, LaunchTemplateNames=[name])[0] == "InvalidLaunchTemplateName.NotFoundException"


def test_a_template_s_versions_are_filtered(ec2):
    name = unique("template")
    ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "t3.micro"})
    for value, found in (("t3.micro", 1), ("t3.large", 0)):
        filters = [{"Name": "instance-type", "Values": [value]}]
        assert len(ec2.describe_launch_template_versions(LaunchTemplateName=name, Filters=filters)["LaunchTemplateVersions"]) == found
    ec2.delete_launch_template(LaunchTemplateName=name)


def test_the_metadata_service_is_told_anew_how_it_may_be_asked(ec2, tmp_path):
    name = unique("pair")
    key = private(tmp_path, ec2.create_key_pair(KeyName=name, KeyType="ed25519")["KeyMaterial"])
    [instance] = launch(ec2, KeyName=name, InstanceType="t3.micro")
    shown = until(ec2, instance, "running")
    asks = 'curl -s -o /dev/null -w "%{http_code}" "${AWS_EC2_METADATA_SERVICE_ENDPOINT%/}/latest/meta-data/instance-id"'
    assert login(shown, key, asks).stdout == "401"
    told = ec2.modify_instance_metadata_options(InstanceId=instance, HttpTokens="optional", HttpPutResponseHopLimit=3)
    assert (told["InstanceMetadataOptions"]["HttpTokens"], told["InstanceMetadataOptions"]["HttpPutResponseHopLimit"]) == ("optional", 3)
    assert login(shown, key, asks).stdout == "200"
    assert one(ec2, instance)["MetadataOptions"]["HttpTokens"] == "optional"
    assert refusal(ec2.modify_instance_metadata_options, InstanceId=instance, HttpPutResponseHopLimit=65)[0] == "InvalidParameterValue"
    for switch, state in ((ec2.monitor_instances, "enabled"), (ec2.unmonitor_instances, "disabled")):
        switch(InstanceIds=[instance])
        assert one(ec2, instance)["Monitoring"]["State"] == state
    ec2.delete_key_pair(KeyName=name)


def test_a_rule_is_changed_in_its_place(ec2):
    group = ec2.create_security_group(GroupName=unique("group"), Description="of one rule")["GroupId"]
    permission = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "203.0.113.7/32", "Description": "me"}]}
    [rule] = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])["SecurityGroupRules"]
    change = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 2222, "CidrIpv4": "203.0.113.0/24"}
    change = [{"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "SecurityGroupRule": change}]
    ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=change)
    words = [{"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "Description": "us"}]
    ec2.update_security_group_rule_descriptions_ingress(GroupId=group, SecurityGroupRuleDescriptions=words)
    [shown] = ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])["SecurityGroupRules"]
    assert (shown["CidrIpv4"], shown["ToPort"], shown["Description"]) == ("203.0.113.0/24", 2222, "us")
    change[0]["SecurityGroupRuleId"] = "sgr-0123456789abcdef0"
    assert refusal(ec2.modify_security_group_rules, GroupId=group, SecurityGroupRules=change)[0] == "InvalidSecurityGroupRuleId.NotFound"
    assert refusal(ec2.update_security_group_rule_descriptions_ingress, GroupId=group, IpPermissions=[permission])[0] == "InvalidPermission.NotFound"
    ec2.delete_security_group(GroupId=group)


def test_every_collection_of_boto3_s_resources_is_there(region):
    session = boto3.Session(region.env["AWS_ACCESS_KEY_ID"], region.env["AWS_SECRET_ACCESS_KEY"], region_name=region.env["AWS_REGION"])
    resource = session.resource("ec2", endpoint_url=region.endpoint)
    count = {each.name: len(list(getattr(resource, each.name).all())) for each in resource.meta.resource_model.collections}
    assert (count["internet_gateways"], count["route_tables"], count["network_acls"], count["dhcp_options_sets"], count["subnets"]) == (1, 1, 1, 1, 6)
    assert count["snapshots"] >= count["images"] > 5 and count["vpc_addresses"] == 0
    [vpc] = resource.vpcs.all()
    for each in vpc.meta.resource_model.collections:
        list(getattr(vpc, each.name).all())
    assert vpc.describe_attribute(Attribute="enableDnsHostnames")["EnableDnsHostnames"] == {"Value": True}
    [table] = vpc.route_tables.all()
    assert {route.gateway_id for route in table.routes} == {"local", next(iter(vpc.internet_gateways.all())).id}
    attributes = resource.meta.client.describe_account_attributes(AttributeNames=["default-vpc"])["AccountAttributes"]
    assert attributes == [{"AttributeName": "default-vpc", "AttributeValues": [{"AttributeValue": vpc.id}]}]


def test_a_profile_is_there_by_every_name(clients, ec2):
    profile = clients.iam.get_instance_profile(InstanceProfileName="trainer")["InstanceProfile"]
    assert (profile["Arn"], profile["Roles"][0]["RoleName"]) == ("arn:aws:iam::000000000000:instance-profile/trainer", "trainer")
    [instance] = launch(ec2, InstanceType="t3.micro", IamInstanceProfile={"Arn": profile["Arn"]})
    assert [each["InstanceProfileName"] for each in clients.iam.list_instance_profiles()["InstanceProfiles"]] == ["trainer"]
    [association] = ec2.describe_iam_instance_profile_associations(Filters=[{"Name": "instance-id", "Values": [instance]}])["IamInstanceProfileAssociations"]
    assert association["IamInstanceProfile"]["Id"] == profile["InstanceProfileId"]
    ec2.replace_iam_instance_profile_association(AssociationId=association["AssociationId"], IamInstanceProfile={"Name": "other"})
    assert one(ec2, instance)["IamInstanceProfile"]["Arn"].endswith("/other")


def test_the_last_of_two_equal_keys_counts_and_a_launch_refuses_them(ec2):
    twice = [{"Key": "Name", "Value": "old"}, {"Key": "Name", "Value": "new"}]
    [instance] = launch(ec2, InstanceType="t3.micro")
    ec2.create_tags(Resources=[instance], Tags=twice)
    assert [tag["Value"] for tag in one(ec2, instance)["Tags"] if tag["Key"] == "Name"] == ["new"]
    tags = [{"ResourceType": "instance", "Tags": twice}]
    assert refusal(ec2.run_instances, **NAMED | {"ImageId": image(ec2)["ImageId"]}, TagSpecifications=tags) == (
        "InvalidParameterValue", "Duplicate tag key 'Name' specified.")


def test_libcloud_drives_the_region(region, ec2, tmp_path):
    """Its requests are GETs, with lists that begin at 0 or have no number, and its own reading of the XML."""
    where = urlsplit(region.endpoint)
    keys = region.env["AWS_ACCESS_KEY_ID"], region.env["AWS_SECRET_ACCESS_KEY"]
    driver = get_driver(Provider.EC2)(*keys, region=region.env["AWS_REGION"], host=where.hostname, port=where.port, secure=False, signature_version="4")
    [found] = driver.list_images(ex_filters={"name": "Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.7 (Ubuntu 22.04)*"})
    size = next(size for size in driver.list_sizes() if size.id == "t3.micro")
    assert len(driver.list_locations()) == 6 and driver.ex_get_limits()["resource"]["max-elastic-ips"] == 5
    name = unique("libcloud")
    pair = driver.create_key_pair(name)
    assert driver.get_key_pair(name).fingerprint == pair.fingerprint
    with pytest.raises(KeyPairDoesNotExistError):
        driver.get_key_pair(unique("nobody"))
    group = driver.ex_create_security_group(name, "of libcloud")["group_id"]
    assert driver.ex_authorize_security_group_ingress(group, 22, 22, cidr_ips=["203.0.113.0/24"])
    subnet = driver.ex_list_subnets()[0]
    node = driver.create_node(name="a & b+c", image=found, size=size, ex_keyname=name, ex_security_group_ids=[group], ex_subnet=subnet,
                              ex_metadata={"with blank": "1 + 1"}, ex_blockdevicemappings=[{"DeviceName": "/dev/sda1", "Ebs.VolumeSize": 90}])
    [(node, addresses)] = driver.wait_until_running([node], wait_period=0.2)
    assert addresses[0].startswith("127.") and node.extra["tags"]["with blank"] == "1 + 1" and node.name == "a & b+c"
    assert driver.ex_create_tags(node, {"extra": "x"}) and driver.ex_describe_tags(node)["extra"] == "x"
    done = login(one(ec2, node.id), private(tmp_path, pair.private_key), "echo $USER")
    assert done.stdout == "ubuntu\n", done.stderr
    assert driver.stop_node(node)
    state = lambda: driver.list_nodes(ex_node_ids=[node.id])[0].state  # noqa: E731
    wait_until(lambda: state() == NodeState.STOPPED, "the node to stop")
    assert driver.ex_change_node_size(node, next(size for size in driver.list_sizes() if size.id == "t3.small")) and driver.start_node(node)
    wait_until(lambda: state() == NodeState.RUNNING, "the node to run")
    assert driver.destroy_node(node)
    wait_until(lambda: state() == NodeState.TERMINATED, "the node to end")
    assert driver.ex_delete_security_group_by_id(group) and driver.delete_key_pair(pair)


def test_the_aws_command_goes_from_a_key_to_a_shell(region, ec2, tmp_path):
    def aws(*arguments, output="json"):
        env = {**region.env, "HOME": str(tmp_path), "AWS_PAGER": ""}
        done = subprocess.run([sys.executable, "-m", "awscli", "ec2", *arguments, "--output", output], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode() if output == "text" else json.loads(done.stdout or b"{}")

    name = unique("cli")
    key = private(tmp_path, aws("create-key-pair", "--key-name", name, "--query", "KeyMaterial", output="text"))
    assert aws("wait", "key-pair-exists", "--key-names", name) == {}
    launched = aws("run-instances", "--image-id", image(ec2)["ImageId"], "--instance-type", "t3.micro", "--key-name", name, "--count", "3",
                   "--metadata-options", "HttpTokens=required", "--associate-public-ip-address", "--subnet-id", aws("describe-subnets", "--query", "Subnets[0].SubnetId"))
    ids = [instance["InstanceId"] for instance in launched["Instances"]]
    assert len(ids) == 3 and aws("wait", "instance-running", "--instance-ids", *ids) == {}
    paged = aws("describe-instances", "--filters", f"Name=key-name,Values={name}", "--max-items", "2", "--page-size", "5")
    assert sum(len(each["Instances"]) for each in paged["Reservations"]) >= 2
    addresses = aws("describe-instances", "--instance-ids", *ids, "--query", "Reservations[].Instances[].[InstanceId,PublicIpAddress]", output="text")
    assert sorted(line.split()[0] for line in addresses.splitlines()) == sorted(ids)
    assert login(one(ec2, ids[0]), key, "echo $USER").stdout == "ubuntu\n"
    assert aws("modify-instance-metadata-options", "--instance-id", ids[0], "--http-endpoint", "disabled")["InstanceMetadataOptions"]["HttpEndpoint"] == "disabled"
    assert aws("get-password-data", "--instance-id", ids[0])["PasswordData"] == ""
    ec2.terminate_instances(InstanceIds=ids)
    assert aws("wait", "instance-terminated", "--instance-ids", *ids) == {}
    assert aws("delete-key-pair", "--key-name", name)["Return"] is True
