"""Notebook instances and Studio: every operation that the region has of them, each response valid against the service model."""
import json
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError, WaiterError
from jobs import execution_role, unique
from region import ROOT, wait_until

EXTRACT = ROOT / "src/local/sagemaker/notebooks/shapes.json"


@pytest.fixture
def role(clients):
    return execution_role(clients)


@pytest.fixture
def instance(clients, role):
    """Makes notebook instances; takes them down at the end, for the account has few."""
    names = []

    def make(**changes):
        request = {"NotebookInstanceName": unique("nb"), "InstanceType": "ml.t3.medium", "RoleArn": role, **changes}
        clients.sagemaker.create_notebook_instance(**request)
        names.append(request["NotebookInstanceName"])
        return names[-1]

    yield make
    for name in names:
        take_down(clients, name)


def take_down(clients, name):
    sagemaker = clients.sagemaker
    for status, call in (("InService", sagemaker.stop_notebook_instance), ("Stopped", sagemaker.delete_notebook_instance)):
        if wait_until(lambda: settled(clients, name), f"{name} to settle") == status:
            call(NotebookInstanceName=name)
    wait_until(lambda: settled(clients, name) == "gone", f"{name} to go")


def settled(clients, name):
    """Its status when that is none on the way to another; "gone" when it is not there."""
    try:
        status = clients.sagemaker.describe_notebook_instance(NotebookInstanceName=name)["NotebookInstanceStatus"]
    except ClientError as error:
        assert error.response["Error"] == {"Code": "ValidationException", "Message": "RecordNotFound"}
        return "gone"
    return status if status in ("InService", "Stopped", "Failed") else None


def refusal(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def waiter(clients, name, delay=0.05):
    """botocore's own waiter, without its half minute between looks."""
    made = clients.sagemaker.get_waiter(name)
    made.config.delay, made.config.max_attempts = delay, 400
    return made


def test_botocores_waiters_follow_a_notebook_instance(clients, instance):
    sagemaker, name = clients.sagemaker, instance()
    waiter(clients, "notebook_instance_in_service").wait(NotebookInstanceName=name)
    sagemaker.stop_notebook_instance(NotebookInstanceName=name)
    waiter(clients, "notebook_instance_stopped").wait(NotebookInstanceName=name)
    sagemaker.delete_notebook_instance(NotebookInstanceName=name)
    waiter(clients, "notebook_instance_deleted").wait(NotebookInstanceName=name)
    with pytest.raises(WaiterError):
        waiter(clients, "notebook_instance_in_service").wait(NotebookInstanceName=name)


def test_only_a_stopped_instance_is_deleted(clients, instance):
    name = instance()
    wait_until(lambda: settled(clients, name) == "InService", f"{name} to start")
    arn = clients.sagemaker.describe_notebook_instance(NotebookInstanceName=name)["NotebookInstanceArn"]
    assert refusal(clients.sagemaker.delete_notebook_instance, NotebookInstanceName=name) == (
        "ValidationException",
        f"Status (InService) not in ([Stopped, Failed]). Unable to transition to (Deleting) for Notebook Instance ({arn}).",
    )


def test_names_and_types_are_checked_as_aws_does(clients, role):
    create = clients.sagemaker.create_notebook_instance
    code, message = refusal(create, NotebookInstanceName="a_b", InstanceType="ml.huge", RoleArn=role)
    assert code == "ValidationException" and message.startswith("2 validation errors detected: Value 'a_b' at 'notebookInstanceName'")
    assert "Value 'ml.huge' at 'instanceType' failed to satisfy constraint: Member must satisfy enum value set: [" in message
    code, message = refusal(create, NotebookInstanceName=unique("nb"), InstanceType="ml.g4dn.xlarge", RoleArn=role)
    assert code == "ResourceLimitExceeded" and "'ml.g4dn.xlarge for notebook instance usage' is 0 Instances" in message


def browse(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_presigned_url_opens_once(clients, instance, region):
    name = instance()
    wait_until(lambda: settled(clients, name) == "InService", f"{name} to start")
    url = clients.sagemaker.create_presigned_notebook_instance_url(NotebookInstanceName=name)["AuthorizedUrl"]
    assert url.startswith(region.endpoint)
    browser = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert browse(url, Origin="http://evil.example")[0] == 403
    status, page = browse(url, **browser)
    assert status == 200 and name in page and "it runs no Jupyter" in page
    assert browse(url, **browser)[0] == 403
    assert browse(region.endpoint, **browser)[0] == 403


def test_state_outlives_a_killed_region(own_region):
    def aws(*arguments):
        done = subprocess.run([sys.executable, "-m", "awscli", "sagemaker", *arguments, "--output", "json"], env=own_region.env, stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout or b"{}")

    role = "arn:aws:iam::000000000000:role/footplate-local-execution-role"
    aws("create-notebook-instance", "--notebook-instance-name", "nb", "--instance-type", "ml.t3.medium", "--role-arn", role, "--tags", "Key=team,Value=vision")
    own_region.kill()
    own_region.start()
    told = wait_until(lambda: (told := aws("describe-notebook-instance", "--notebook-instance-name", "nb"))["NotebookInstanceStatus"] == "InService" and told, "nb to start")
    assert aws("list-tags", "--resource-arn", told["NotebookInstanceArn"])["Tags"] == [{"Key": "team", "Value": "vision"}]


def studio_status(call, **arguments):
    """The status when it does not change any more; "gone" when it is not there."""
    try:
        status = call(**arguments)["Status"]
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ResourceNotFound"
        return "gone"
    return status if status not in ("Pending", "Updating", "Deleting") else None


def test_every_operation_conforms(clients, watcher, instance, role):
    sagemaker = clients.sagemaker
    repository = "https://github.com/aws/amazon-sagemaker-examples"
    name = instance(
        VolumeSizeInGB=10, SubnetId="subnet-1", SecurityGroupIds=["sg-1"], DirectInternetAccess="Disabled", RootAccess="Disabled",
        DefaultCodeRepository=repository, AdditionalCodeRepositories=[repository + ".git"], Tags=[{"Key": "k", "Value": "v"}],
        InstanceMetadataServiceConfiguration={"MinimumInstanceMetadataServiceVersion": "2"}, PlatformIdentifier="notebook-al2-v3",
    )
    wait_until(lambda: settled(clients, name) == "InService", f"{name} to start")
    told = sagemaker.describe_notebook_instance(NotebookInstanceName=name)
    assert (told["VolumeSizeInGB"], told["SecurityGroups"], told["RootAccess"], told["DefaultCodeRepository"]) == (10, ["sg-1"], "Disabled", repository)
    arn = told["NotebookInstanceArn"]
    sagemaker.create_presigned_notebook_instance_url(NotebookInstanceName=name)
    assert [one["NotebookInstanceName"] for one in sagemaker.list_notebook_instances(NameContains=name, StatusEquals="InService", SortBy="Status")["NotebookInstances"]] == [name]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "l", "Value": "w"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["k"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "l", "Value": "w"}]
    sagemaker.stop_notebook_instance(NotebookInstanceName=name)
    wait_until(lambda: settled(clients, name) == "Stopped", f"{name} to stop")
    sagemaker.update_notebook_instance(NotebookInstanceName=name, InstanceType="ml.m5.xlarge", DisassociateDefaultCodeRepository=True)
    wait_until(lambda: settled(clients, name) == "Stopped", f"{name} to be updated")
    told = sagemaker.describe_notebook_instance(NotebookInstanceName=name)
    assert told["InstanceType"] == "ml.m5.xlarge" and "DefaultCodeRepository" not in told
    sagemaker.start_notebook_instance(NotebookInstanceName=name)

    # Studio, made from the outside in.
    made = sagemaker.create_domain(
        DomainName=unique("lab"), AuthMode="IAM", DefaultUserSettings={"ExecutionRole": role}, VpcId="vpc-1", SubnetIds=["subnet-1"],
        DefaultSpaceSettings={"ExecutionRole": role, "JupyterLabAppSettings": {"DefaultResourceSpec": {"InstanceType": "ml.m5.xlarge"}}},
    )
    domain = {"DomainId": made["DomainId"]}
    wait_until(lambda: studio_status(sagemaker.describe_domain, **domain) == "InService", "the domain")
    assert made["DomainId"] in [one["DomainId"] for page in sagemaker.get_paginator("list_domains").paginate() for one in page["Domains"]]
    profile = {**domain, "UserProfileName": "ann"}
    sagemaker.create_user_profile(**profile, UserSettings={"ExecutionRole": role})
    assert refusal(sagemaker.create_user_profile, **profile)[0] == "ResourceInUse"
    wait_until(lambda: studio_status(sagemaker.describe_user_profile, **profile) == "InService", "the profile")
    assert len(sagemaker.list_user_profiles(DomainIdEquals=made["DomainId"], UserProfileNameContains="an")["UserProfiles"]) == 1
    space = {**domain, "SpaceName": "work"}
    sagemaker.create_space(
        **space, OwnershipSettings={"OwnerUserProfileName": "ann"}, SpaceSharingSettings={"SharingType": "Private"},
        SpaceSettings={"AppType": "JupyterLab", "SpaceStorageSettings": {"EbsStorageSettings": {"EbsVolumeSizeInGb": 5}}},
    )
    wait_until(lambda: studio_status(sagemaker.describe_space, **space) == "InService", "the space")
    sagemaker.update_space(**space, SpaceDisplayName="Work")
    wait_until(lambda: studio_status(sagemaker.describe_space, **space) == "InService", "the space, updated")
    listed = sagemaker.list_spaces(DomainIdEquals=made["DomainId"], SortBy="LastModifiedTime", SortOrder="Descending")["Spaces"]
    assert [(one["SpaceDisplayName"], one["SpaceSettingsSummary"]["AppType"], one["OwnershipSettingsSummary"]) for one in listed] == [("Work", "JupyterLab", {"OwnerUserProfileName": "ann"})]
    app = {**space, "AppType": "JupyterLab", "AppName": "default"}
    sagemaker.create_app(**app, Tags=[{"Key": "k", "Value": "v"}])
    wait_until(lambda: studio_status(sagemaker.describe_app, **app) == "InService", "the app")
    told = sagemaker.describe_app(**app)
    assert told["ResourceSpec"] == {"InstanceType": "ml.m5.xlarge"}
    assert sagemaker.list_tags(ResourceArn=told["AppArn"])["Tags"] == [{"Key": "k", "Value": "v"}]
    url = sagemaker.create_presigned_domain_url(**profile, SpaceName="work", ExpiresInSeconds=60)["AuthorizedUrl"]
    assert "Studio space work" in browse(url)[1]

    # And taken down from the inside out.
    assert refusal(sagemaker.delete_space, **space)[0] == "ResourceInUse"
    sagemaker.delete_app(**app)
    wait_until(lambda: studio_status(sagemaker.describe_app, **app) == "Deleted", "the app to stop")
    assert [one["Status"] for one in sagemaker.list_apps(DomainIdEquals=made["DomainId"])["Apps"]] == ["Deleted"]
    for delete, describe, which in (
        (sagemaker.delete_space, sagemaker.describe_space, space),
        (sagemaker.delete_user_profile, sagemaker.describe_user_profile, profile),
        (sagemaker.delete_domain, sagemaker.describe_domain, domain),
    ):
        delete(**which)
        wait_until(lambda: studio_status(describe, **which) == "gone", f"{which} to go")
    take_down(clients, name)

    offered = {f"sagemaker.{operation}" for operation in json.loads(EXTRACT.read_text())["operations"]}
    assert offered - watcher.seen == set()
