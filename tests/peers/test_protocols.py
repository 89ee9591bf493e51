"""The wire itself: the three ways of calling CloudWatch, and the ways of sending a body to S3. Signed by hand."""
import binascii
import hashlib
import hmac
import json
import socket
import time
import zlib
from base64 import b64encode
from datetime import datetime, timedelta, timezone
from urllib.parse import urlencode, urlsplit

import botocore.parsers
import botocore.serialize
import pytest
from jobs import unique
from raw import send, signed

UTC = timezone.utc
PROTOCOLS = ["smithy-rpc-v2-cbor", "json", "query"]


class CloudWatch:
    """Calls CloudWatch in a protocol of our choice, with botocore's serialiser and parser for that protocol."""

    def __init__(self, clients, protocol):
        self.env, self.protocol = clients.env, protocol
        self.model = clients.cloudwatch.meta.service_model

    def __call__(self, operation, status=200, **arguments):
        operation_model = self.model.operation_model(operation)
        request = botocore.serialize.create_serializer(self.protocol, False).serialize_to_request(arguments, operation_model)
        body = request["body"]
        if isinstance(body, dict):
            body = urlencode(body).encode()
        path = request["url_path"] or "/"
        headers = {name: value for name, value in request["headers"].items()}
        answer = send(self.env, "POST", path, signed(self.env, "monitoring", "POST", path, headers, body), body)
        assert answer.status == status, answer.body[:500]
        self.check_headers(answer)
        parser = botocore.parsers.create_parser(self.protocol)
        raw = {"status_code": answer.status, "headers": dict(answer.headers.items()), "body": answer.body}
        if status >= 300:
            raw["headers"] = {name.lower(): value for name, value in answer.headers.items()}
        return parser.parse(raw, operation_model.output_shape)

    def check_headers(self, answer):
        kind = answer.headers["Content-Type"].partition(";")[0]
        if self.protocol == "smithy-rpc-v2-cbor":
            assert answer.headers["smithy-protocol"] == "rpc-v2-cbor"
            assert kind == "application/cbor"
        else:
            assert kind == {"json": "application/x-amz-json-1.0", "query": "text/xml"}[self.protocol]


@pytest.fixture(params=PROTOCOLS)
def cloudwatch(request, clients):
    return CloudWatch(clients, request.param)


def test_metrics_go_in_and_come_out(cloudwatch):
    namespace = unique("wire")
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    window = {"StartTime": now - timedelta(minutes=30), "EndTime": now + timedelta(minutes=5)}
    data = [{"MetricName": "m", "Dimensions": [{"Name": "Job", "Value": "a & b <c>"}], "Timestamp": now - timedelta(minutes=minute), "Value": 0.5 + minute} for minute in range(3)]
    cloudwatch("PutMetricData", Namespace=namespace, MetricData=data)
    metrics = cloudwatch("ListMetrics", Namespace=namespace)["Metrics"]
    assert metrics == [{"Namespace": namespace, "MetricName": "m", "Dimensions": data[0]["Dimensions"]}]
    points = cloudwatch("GetMetricStatistics", Namespace=namespace, MetricName="m", Dimensions=data[0]["Dimensions"], Period=60, Statistics=["Sum"], **window)["Datapoints"]
    assert sorted((point["Timestamp"].astimezone(UTC), point["Sum"]) for point in points) == sorted((entry["Timestamp"], entry["Value"]) for entry in data)
    query = {"Id": "q", "MetricStat": {"Metric": metrics[0], "Period": 60, "Stat": "Average"}}
    result = cloudwatch("GetMetricData", MetricDataQueries=[query], **window)["MetricDataResults"][0]
    assert (result["Id"], result["Values"], result["StatusCode"]) == ("q", [0.5, 1.5, 2.5], "Complete")
    assert [moment.astimezone(UTC) for moment in result["Timestamps"]] == [entry["Timestamp"] for entry in data]


def test_nothing_is_an_empty_list(cloudwatch):
    assert cloudwatch("ListMetrics", Namespace=unique("none"))["Metrics"] == []


def test_an_error_has_its_code_in_every_protocol(cloudwatch):
    now = datetime.now(UTC)
    parsed = cloudwatch("GetMetricStatistics", status=400, Namespace="n", MetricName="m", Period=7, StartTime=now, EndTime=now + timedelta(hours=1), Statistics=["Sum"])
    assert parsed["Error"]["Code"] in ("InvalidParameterValue", "InvalidParameterValueException")
    assert parsed["Error"]["Message"]


# Bodies of S3


def test_100_continue_is_answered_before_the_body(clients, bucket):
    env, body = clients.env, b"sent after the nod"
    headers = signed(env, "s3", "PUT", f"/{bucket}/expected", {}, body)
    where = urlsplit(env["AWS_ENDPOINT_URL"])
    head = [f"PUT /{bucket}/expected HTTP/1.1", f"Host: {where.netloc}", f"Content-Length: {len(body)}", "Expect: 100-continue"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection((where.hostname, where.port), timeout=5) as connection:
        connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n")
        asked = time.monotonic()
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        assert time.monotonic() - asked < 0.9  # botocore sends the body after a second without an answer
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert clients.s3.get_object(Bucket=bucket, Key="expected")["Body"].read() == body


def crc(body):
    return b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def put_with_trailer(clients, bucket, key, pieces, checksum):
    """An upload as SDKs make it over TLS: chunked, unsigned payload, the checksum after the body."""
    length = sum(map(len, pieces))
    headers = {
        "Content-Encoding": "aws-chunked",
        "X-Amz-Decoded-Content-Length": str(length),
        "X-Amz-Trailer": "x-amz-checksum-crc32",
        "X-Amz-Sdk-Checksum-Algorithm": "CRC32",
        "X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    }
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + f"x-amz-checksum-crc32:{checksum}\r\n\r\n".encode()
    return send(clients.env, "PUT", f"/{bucket}/{key}", sign_streaming(clients.env, f"/{bucket}/{key}", headers)[0], body)


def sign_streaming(env, path, headers):
    """The headers with a signature over the literal X-Amz-Content-SHA256 that they hold, and that signature."""
    done = signed(env, "s3", "PUT", path, headers, b"", payload=headers["X-Amz-Content-SHA256"])
    return done, done["Authorization"].rpartition("Signature=")[2]


def test_a_checksum_in_the_trailer(clients, bucket):
    pieces = [b"a" * 70_000, b"b" * 3, b"c" * 10]
    body = b"".join(pieces)
    answer = put_with_trailer(clients, bucket, "chunked", pieces, crc(body))
    assert answer.status == 200, answer.body
    got = clients.s3.get_object(Bucket=bucket, Key="chunked")
    assert got["Body"].read() == body
    assert "aws-chunked" not in got.get("ContentEncoding", "")


def test_a_wrong_checksum_in_the_trailer(clients, bucket):
    answer = put_with_trailer(clients, bucket, "broken", [b"some bytes"], crc(b"other bytes"))
    assert answer.status == 400 and b"<Code>BadDigest</Code>" in answer.body
    assert not clients.s3.list_objects_v2(Bucket=bucket, Prefix="broken").get("Contents")


def hmac_sha256(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def put_in_signed_chunks(clients, bucket, key, pieces, spoil=lambda piece: piece):
    """An upload whose chunks are each signed, chained to the signature before (SigV4 streaming)."""
    env = clients.env
    headers = {
        "Content-Encoding": "aws-chunked",
        "X-Amz-Decoded-Content-Length": str(sum(map(len, pieces))),
        "X-Amz-Content-SHA256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    }
    headers, signature = sign_streaming(env, f"/{bucket}/{key}", headers)
    moment = headers["X-Amz-Date"]
    scope = f"{moment[:8]}/{env['AWS_REGION']}/s3/aws4_request"
    secret = ("AWS4" + env["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in scope.split("/"):
        secret = hmac_sha256(secret, part)
    body = b""
    for piece in [*pieces, b""]:
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", moment, scope, signature, hashlib.sha256(b"").hexdigest(), hashlib.sha256(piece).hexdigest()])
        signature = binascii.hexlify(hmac_sha256(secret, text)).decode()
        body += b"%x;chunk-signature=%s\r\n%s\r\n" % (len(piece), signature.encode(), spoil(piece))
    return send(env, "PUT", f"/{bucket}/{key}", headers, body)


def test_signed_chunks(clients, bucket):
    pieces = [b"x" * 65_536, b"y" * 65_536, b"the rest"]
    answer = put_in_signed_chunks(clients, bucket, "signed", pieces)
    assert answer.status == 200, answer.body
    assert clients.s3.get_object(Bucket=bucket, Key="signed")["Body"].read() == b"".join(pieces)


def test_a_spoilt_signed_chunk(clients, bucket):
    answer = put_in_signed_chunks(clients, bucket, "spoilt", [b"good bytes"], spoil=lambda piece: piece.replace(b"good", b"evil"))
    assert answer.status == 403 and b"<Code>SignatureDoesNotMatch</Code>" in answer.body
    assert not clients.s3.list_objects_v2(Bucket=bucket, Prefix="spoilt").get("Contents")


def test_the_port_is_shared_by_the_signatures_service(clients):
    """S3's `GET /` and SageMaker's `POST /` are told apart; answers of both carry a request id."""
    env = clients.env
    buckets = send(env, "GET", "/", signed(env, "s3", "GET", "/", {}, b""))
    assert buckets.status == 200 and b"ListAllMyBucketsResult" in buckets.body
    assert buckets.headers["x-amz-request-id"]
    headers = {"X-Amz-Target": "SageMaker.ListTrainingJobs", "Content-Type": "application/x-amz-json-1.1"}
    listing = send(env, "POST", "/", signed(env, "sagemaker", "POST", "/", headers, b"{}"), b"{}")
    assert "TrainingJobSummaries" in json.loads(listing.body)
    assert listing.headers["x-amzn-RequestId"]
