"""Requests made and signed by hand, for what no client library would send, and for the ways of calling that ours does not choose."""
import http.client
import json
from collections import namedtuple
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

Answer = namedtuple("Answer", "status headers body")


def signed(env, service, method, path, headers, body, secret=None, key_id=None, host=None, payload=None):
    """The headers with a signature; `host` signs for another host than is sent to, `payload` is S3's word for a body that is not signed as a whole."""
    url = env["AWS_ENDPOINT_URL"] if host is None else f"http://{host}"
    request = AWSRequest(method=method, url=url.rstrip("/") + path, headers=dict(headers), data=body)
    credentials = Credentials(key_id or env["AWS_ACCESS_KEY_ID"], secret or env["AWS_SECRET_ACCESS_KEY"])
    signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials, service, env["AWS_REGION"])
    if payload is not None:
        signer.payload = lambda request: payload
    signer.add_auth(request)
    return dict(request.headers)


def send(env, method, path, headers, body=b"", host=None):
    """Sends exactly these headers, to the region's port whatever the Host header says."""
    where = urlsplit(env["AWS_ENDPOINT_URL"])
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", host or where.netloc)
        if "Content-Length" not in headers and "Transfer-Encoding" not in headers:
            connection.putheader("Content-Length", str(len(body)))
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def call(env, target, arguments, more=None, service="sagemaker", version="1.1", **signing):
    """One awsJson call, signed by hand."""
    body = json.dumps(arguments).encode()
    headers = {"X-Amz-Target": target, "Content-Type": f"application/x-amz-json-{version}"}
    host = signing.get("host")
    return send(env, "POST", "/", {**signed(env, service, "POST", "/", headers, body, **signing), **(more or {})}, body, host)
