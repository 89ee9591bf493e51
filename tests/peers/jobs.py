"""Training jobs for tests: script in, job out."""
import io
import json
import tarfile
import uuid
from pathlib import Path

from region import wait_until

SCRIPTS = Path(__file__).with_name("scripts")
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1.9-cpu-py38"
GROUP = "/aws/sagemaker/TrainingJobs"
ENDED = {"Completed", "Failed", "Stopped"}


def unique(prefix):
    """A name that no other test has."""
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def archive(files):
    """A tar.gz of name -> text, as an SDK makes a sourcedir.tar.gz."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def members(content):
    """name -> bytes of the files of a tar.gz."""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        return {member.name.removeprefix("./"): tar.extractfile(member).read() for member in tar if member.isfile()}


def execution_role(clients):
    """The ARN of the role that the caller plays, found as the SDK's get_execution_role() finds it."""
    caller = clients.sts.get_caller_identity()["Arn"]
    return clients.iam.get_role(RoleName=caller.split("/")[1])["Role"]["Arn"]


class Jobs:
    """Makes training jobs whose code, data and output are in one bucket."""

    def __init__(self, clients, bucket):
        self.clients, self.bucket, self.role = clients, bucket, execution_role(clients)

    def put_channel(self, files):
        """Uploads files as a channel; its S3 URI."""
        prefix = unique("data")
        for name, body in files.items():
            self.clients.s3.put_object(Bucket=self.bucket, Key=f"{prefix}/{name}", Body=body)
        return f"s3://{self.bucket}/{prefix}"

    def request(self, script, name=None, hyperparameters=None, channels=None, metrics=None, instances=1, folder=SCRIPTS, **more):
        """The arguments of create_training_job for a script, its code uploaded: all Python files of its folder."""
        name = name or unique("job")
        key = f"{name}/source/sourcedir.tar.gz"
        self.clients.s3.put_object(Bucket=self.bucket, Key=key, Body=archive({path.name: path.read_text() for path in sorted(folder.glob("*.py"))}))
        values = dict(hyperparameters or {}, sagemaker_program=script, sagemaker_submit_directory=f"s3://{self.bucket}/{key}")
        algorithm = {"TrainingImage": IMAGE, "TrainingInputMode": "File"}
        if metrics:
            algorithm["MetricDefinitions"] = [{"Name": metric, "Regex": regex} for metric, regex in metrics.items()]
        request = {
            "TrainingJobName": name,
            "RoleArn": self.role,
            "AlgorithmSpecification": algorithm,
            "HyperParameters": {key: json.dumps(value) for key, value in values.items()},
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.2xlarge", "InstanceCount": instances, "VolumeSizeInGB": 30},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        }
        if channels:
            request["InputDataConfig"] = [
                {
                    "ChannelName": channel,
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}},
                }
                for channel, uri in channels.items()
            ]
        request.update(more)
        return request

    def start(self, script, **more):
        """Creates the job; its name."""
        request = self.request(script, **more)
        self.clients.sagemaker.create_training_job(**request)
        return request["TrainingJobName"]

    def run(self, script, **more):
        """Creates the job and waits for its end; its description."""
        return self.wait(self.start(script, **more))

    def describe(self, name):
        return self.clients.sagemaker.describe_training_job(TrainingJobName=name)

    def wait(self, name, seconds=60):
        """Waits for the job's end; its description."""
        seen = lambda: (self.describe(name)["SecondaryStatusTransitions"], self.lines(name))
        wait_until(lambda: self.describe(name)["TrainingJobStatus"] in ENDED, f"the end of the job {name}", seconds, seen)
        return self.describe(name)

    def streams(self, name):
        """The names of the job's log streams, in order."""
        answer = self.clients.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")
        return sorted(stream["logStreamName"] for stream in answer["logStreams"])

    def lines(self, name):
        """All log messages of all hosts, read to the end."""
        return [event["message"] for stream in self.streams(name) for event in self.events(stream)]

    def events(self, stream, limit=10000):
        """All events of a stream. At the end the service returns the token that it was sent."""
        found, token = [], {}
        while True:
            answer = self.clients.logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True, limit=limit, **token)
            found += answer["events"]
            if token.get("nextToken") == answer["nextForwardToken"]:
                return found
            token = {"nextToken": answer["nextForwardToken"]}

    def wait_for_line(self, name, start, seconds=30):
        """The first log line of a running job that starts so."""

        def look():
            try:
                return next((line for line in self.lines(name) if line.startswith(start)), None)
            except self.clients.logs.exceptions.ResourceNotFoundException:
                return None  # the group is made with the first line

        return wait_until(look, f"the line {start!r} of {name}", seconds)

    def fetch(self, uri):
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return self.clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
