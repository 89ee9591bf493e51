"""The check of responses itself: it must see what it is there to see."""
import datetime

import botocore.session
import pytest
from conformance import Conformance, json_violations, parsed_violations, xml_root_violations
from xml.etree.ElementTree import fromstring


def output(service, operation):
    return botocore.session.get_session().get_service_model(service).operation_model(operation)


def summary(**changes):
    now = datetime.datetime.now(datetime.timezone.utc)
    good = {"TrainingJobName": "a", "TrainingJobArn": "arn:aws:sagemaker:us-east-1:000000000000:training-job/a", "CreationTime": now, "TrainingJobStatus": "Completed"}
    good.update(changes)
    return {"TrainingJobSummaries": [{name: value for name, value in good.items() if value is not ...}]}


def test_a_right_response_has_no_violation():
    assert parsed_violations(summary(), output("sagemaker", "ListTrainingJobs").output_shape, "") == []


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"TrainingJobStatus": "Done"}, "is none of"),
        ({"CreationTime": ...}, "required, but missing"),
        ({"CreationTime": 1.5}, "is not a timestamp"),
        ({"TrainingJobName": "under_score"}, "does not match"),
        ({"TrainingJobName": "n" * 64}, "above the maximum"),
        ({"TrainingJobName": 7}, "is not a string"),
    ],
)
def test_a_wrong_response_is_seen(changes, said):
    found = parsed_violations(summary(**changes), output("sagemaker", "ListTrainingJobs").output_shape, "")
    assert found and said in found[0]


@pytest.mark.parametrize(
    "body, said",
    [
        ({"TrainingJobSummaries": [], "Extra": 1}, ".Extra: not in the model"),
        ({"TrainingJobSummaries": [], "NextToken": None}, "null on the wire"),
        ({"TrainingJobSummaries": {}}, "is not a list"),
        ({"TrainingJobSummaries": [{"CreationTime": "2026-01-01T00:00:00Z"}]}, "is not a timestamp on the wire"),
    ],
)
def test_a_wrong_json_body_is_seen(body, said):
    found = json_violations(body, output("sagemaker", "ListTrainingJobs").output_shape, "")
    assert found and said in found[0]


@pytest.mark.parametrize(
    "body, said",
    [
        ('<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Colour>red</Colour></ListBucketResult>', "<Colour>: not in the model"),
        ('<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Contents><Ky>k</Ky></Contents></ListBucketResult>', "<Contents><Ky>: not in the model"),
        ("<ListBucketResult/>", "namespace"),
    ],
)
def test_a_wrong_xml_body_is_seen(body, said):
    model = output("s3", "ListObjectsV2")
    found = xml_root_violations(fromstring(body), model.output_shape, model, "rest-xml")
    assert found and said in found[0]


def test_violations_fail_the_test_once():
    conformance = Conformance()
    conformance.violations = ["x"]
    with pytest.raises(AssertionError):
        conformance.raise_violations()
    conformance.raise_violations()
