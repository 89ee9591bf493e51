"""Checks every response that a boto3 client receives against botocore's own model of the service.

The parsed response must hold all required members, of the right types, lengths, ranges and patterns, and only known enum
values. The raw body is walked as well, since botocore's parser silently drops what it does not know: no member outside the
model, no null, no number where text belongs. Errors must be of a code that the operation or its protocol declares.
"""
import datetime
import json
import re
import xml.etree.ElementTree as ElementTree

# Errors that any operation of a protocol may answer, beside those that the model lists for it. From the services'
# "Common Errors" pages; ValidationException is what SageMaker answers for unknown jobs (the model lists ResourceNotFound).
COMMON_ERRORS = {
    "AccessDeniedException", "ExpiredTokenException", "IncompleteSignature", "InternalFailure", "InvalidAction",
    "InvalidClientTokenId", "InvalidParameterCombination", "InvalidParameterValue", "InvalidSignatureException",
    "MissingAuthenticationToken", "MissingAuthenticationTokenException", "MissingParameter", "RequestExpired",
    "SerializationException", "ServiceUnavailable", "SignatureDoesNotMatch", "ThrottlingException", "UnknownOperationException",
    "UnrecognizedClientException", "ValidationError", "ValidationException",
}

# S3 declares hardly any of its errors in the model: these are from its "Error responses" page, "404" and the like are what
# botocore makes of an answer to HEAD, which has no body.
S3_ERRORS = {
    "301", "304", "400", "403", "404", "405", "412", "416", "501",
    "AccessDenied", "AuthorizationHeaderMalformed", "BadDigest", "BucketAlreadyExists", "BucketAlreadyOwnedByYou", "BucketNotEmpty",
    "EntityTooLarge", "EntityTooSmall", "IncompleteBody", "InternalError", "InvalidAccessKeyId", "InvalidArgument",
    "InvalidBucketName", "InvalidDigest", "InvalidObjectName", "InvalidPart", "InvalidPartOrder", "InvalidRange", "InvalidRequest",
    "KeyTooLongError", "MalformedXML", "InvalidStorageClass", "InvalidTag", "MethodNotAllowed", "MissingContentLength", "NoSuchBucket", "NoSuchKey", "NoSuchTagSet", "NoSuchUpload",
    "NotImplemented", "PreconditionFailed", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "XAmzContentSHA256Mismatch",
}

# EC2's model declares no errors at all: these are from the "Error codes" page of its API reference, and the ones of its front end.
EC2_ERRORS = COMMON_ERRORS | {
    "AuthFailure", "CannotDelete", "DependencyViolation", "DryRunOperation", "IdempotentInstanceTerminated", "IdempotentParameterMismatch",
    "IncorrectInstanceState", "InsufficientInstanceCapacity", "InvalidAMIID.Malformed", "InvalidAMIID.NotFound", "InvalidBlockDeviceMapping",
    "InvalidGroup.Duplicate", "InvalidGroup.NotFound", "InvalidGroupId.Malformed", "InvalidInstanceID.Malformed", "InvalidInstanceID.NotFound",
    "InvalidInstanceType", "InvalidKey.Format", "InvalidKeyPair.Duplicate", "InvalidKeyPair.NotFound", "InvalidLaunchTemplateId.NotFound",
    "InvalidLaunchTemplateId.VersionNotFound", "InvalidLaunchTemplateName.AlreadyExistsException",
    "InvalidLaunchTemplateName.NotFoundException", "InvalidPermission.Duplicate", "InvalidPermission.NotFound",
    "InvalidSecurityGroupRuleId.NotFound", "InvalidSpotInstanceRequestID.NotFound", "InvalidSubnetID.NotFound",
    "InvalidVolume.NotFound", "OperationNotPermitted", "SpotMaxPriceTooLow", "UnknownParameter", "Unsupported", "UnsupportedOperation",
    "VcpuLimitExceeded",
}

NAMESPACES = {
    "ec2": "http://ec2.amazonaws.com/doc/2016-11-15/",
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "s3": "http://s3.amazonaws.com/doc/2006-03-01/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
}

PYTHON_TYPES = {
    "string": str, "character": str, "integer": int, "long": int, "float": (int, float), "double": (int, float),
    "boolean": bool, "timestamp": datetime.datetime, "blob": bytes,
}


class Conformance:
    """Collects what is wrong with the responses of the clients it watches."""

    def __init__(self):
        self.violations = []
        self.seen = set()

    def watch(self, client):
        client.meta.events.register("after-call", self.check)
        return client

    def check(self, http_response, parsed, model, **_):
        """botocore calls this after every response. It only notes: some callers swallow exceptions."""
        where = f"{model.service_model.service_name}.{model.name}"
        self.seen.add(where)
        found = []
        if http_response.status_code >= 300:
            found += error_violations(http_response, parsed, model)
        elif model.output_shape is None:
            if http_response.content.strip() not in (b"", b"{}") and not is_empty_result(http_response.content):
                found.append(f"a body where the model has none: {http_response.content[:200]!r}")
        else:
            found += parsed_violations(parsed, model.output_shape, "")
            found += raw_violations(http_response, model)
        if not request_id(parsed):
            found.append("no request id")
        self.violations += [f"{where}: {violation}" for violation in found]

    def raise_violations(self):
        violations, self.violations = self.violations, []
        assert not violations, "responses that do not conform to the service model:\n" + "\n".join(violations)


def request_id(parsed):
    metadata = parsed.get("ResponseMetadata", {})
    return metadata.get("RequestId") or metadata.get("HTTPHeaders", {}).get("x-amz-request-id")


def is_empty_result(content):
    """An XML answer that holds nothing but its request id."""
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError:
        return False
    return all(local(child.tag) in ("ResponseMetadata", "requestId", "return") for child in root)


def error_violations(http_response, parsed, model):
    error = parsed.get("Error", {})
    code, found = error.get("Code", ""), []
    head = model.http.get("method") == "HEAD"
    declared = {shape.metadata.get("error", {}).get("code", shape.name) for shape in model.error_shapes} | {shape.name for shape in model.error_shapes}
    known = declared | {"s3": S3_ERRORS, "ec2": EC2_ERRORS}.get(model.service_model.service_name, COMMON_ERRORS)
    if code not in known:
        found.append(f"error code {code!r} is neither in the model of the operation ({sorted(declared)}) nor a common error")
    if not error.get("Message") and not head:
        found.append(f"error {code} without a message")
    if not 400 <= http_response.status_code < 600 and not (head or http_response.status_code == 304):
        found.append(f"error {code} with status {http_response.status_code}")
    return found


def parsed_violations(value, shape, path):
    """What botocore understood of a response, against the shape."""
    kind = shape.type_name
    if kind == "structure":
        if getattr(shape, "is_tagged_union", False) and len(value) != 1:
            return [f"{path}: a union with {len(value)} members"]
        found = [f"{path}.{name}: required, but missing" for name in shape.required_members if name not in value and not is_streamed(shape, name)]
        for name, member in shape.members.items():
            if name in value and not is_streamed(shape, name):
                found += parsed_violations(value[name], member, f"{path}.{name}")
        return found
    if kind == "list":
        found = size_violations(len(value), shape, path)
        for index, item in enumerate(value):
            found += parsed_violations(item, shape.member, f"{path}[{index}]")
        return found
    if kind == "map":
        found = size_violations(len(value), shape, path)
        for key, item in value.items():
            found += parsed_violations(key, shape.key, f"{path} key") + parsed_violations(item, shape.value, f"{path}[{key}]")
        return found
    if shape.name == "policyDocumentType" and isinstance(value, dict):
        return []  # botocore has unpacked the JSON text that came
    expected = PYTHON_TYPES[kind]
    if not isinstance(value, expected) or (isinstance(value, bool) and kind != "boolean"):
        return [f"{path}: {value!r} is not a {kind}"]
    if kind in ("string", "blob"):
        found = size_violations(len(value), shape, path)
        enum = getattr(shape, "enum", None)
        if enum and value not in enum:
            found.append(f"{path}: {value!r} is none of {enum[:20]}")
        pattern = shape.metadata.get("pattern")
        if pattern and kind == "string" and not matches(pattern, value):
            found.append(f"{path}: {value!r} does not match {pattern}")
        return found
    if kind in ("integer", "long", "float", "double"):
        return size_violations(value, shape, path)
    return []


def is_streamed(shape, name):
    return shape.serialization.get("payload") == name and shape.members[name].type_name == "blob"


def matches(pattern, text):
    try:
        return re.fullmatch(pattern, text, re.DOTALL) is not None
    except re.error:  # a Java pattern that Python does not know, e.g. \p{L}
        return True


def size_violations(size, shape, path):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    found = []
    if low is not None and size < low:
        found.append(f"{path}: {size} is below the minimum {low}")
    if high is not None and size > high:
        found.append(f"{path}: {size} is above the maximum {high}")
    return found


def raw_violations(http_response, model):
    shape, protocol = model.output_shape, model.service_model.resolved_protocol
    if "payload" in shape.serialization:
        payload = shape.members[shape.serialization["payload"]]
        if payload.type_name != "structure":
            return []
        shape = payload
    if model.name == "GetBucketLocation":
        return []  # the one answer whose root element is the member itself
    body = http_response.content
    if protocol == "json":
        kind = http_response.headers.get("Content-Type", "")
        wanted = f"application/x-amz-json-{model.service_model.metadata['jsonVersion']}"
        found = [] if kind == wanted else [f"Content-Type {kind!r}, not {wanted!r}"]
        return found + json_violations(json.loads(body), shape, "")
    if protocol in ("query", "rest-xml", "ec2"):
        in_body = [name for name, member in shape.members.items() if "location" not in member.serialization]
        if not body.strip():
            return [] if not in_body else ["an empty body where the model has members"]
        return xml_root_violations(ElementTree.fromstring(body), shape, model, protocol)
    return [f"cannot check the protocol {protocol}"]


def json_violations(value, shape, path):
    """A JSON body as it came, against the shape."""
    kind = shape.type_name
    if value is None:
        return [f"{path}: null on the wire; a member without a value is left out"]
    if kind == "structure":
        if not isinstance(value, dict):
            return [f"{path}: {value!r} is not an object"]
        names = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        found = [f"{path}.{name}: not in the model" for name in value if name not in names]
        for name in value.keys() & names.keys():
            found += json_violations(value[name], names[name], f"{path}.{name}")
        return found
    if kind == "list":
        if not isinstance(value, list):
            return [f"{path}: {value!r} is not a list"]
        return [violation for index, item in enumerate(value) for violation in json_violations(item, shape.member, f"{path}[{index}]")]
    if kind == "map":
        if not isinstance(value, dict):
            return [f"{path}: {value!r} is not an object"]
        return [violation for key, item in value.items() for violation in json_violations(item, shape.value, f"{path}[{key}]")]
    wanted = {"string": str, "boolean": bool, "integer": int, "long": int, "blob": str}.get(kind, (int, float))
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind != "boolean"):
        return [f"{path}: {value!r} is not a {kind} on the wire"]
    return []


def local(tag):
    return tag.rpartition("}")[2]


def xml_root_violations(root, shape, model, protocol):
    service = model.service_model.service_name
    wanted = NAMESPACES[service]
    found = [] if root.tag.startswith("{" + wanted + "}") else [f"the root element is {root.tag}, not in the namespace {wanted}"]
    if protocol == "rest-xml":
        return found + xml_violations(root, shape, f"<{local(root.tag)}>")
    if local(root.tag) != f"{model.name}Response":
        found.append(f"the root element is {local(root.tag)}, not {model.name}Response")
    if protocol == "ec2":
        ids = [child for child in root if local(child.tag) == "requestId"]
        root = [child for child in root if child not in ids]
        return found + xml_violations(root, shape, "") + ([] if len(ids) == 1 else [f"{len(ids)} request ids"])
    for child in root:
        name = local(child.tag)
        if name == shape.serialization.get("resultWrapper"):
            found += xml_violations(child, shape, f"<{name}>")
        elif name != "ResponseMetadata":
            found.append(f"<{name}>: not in the model")
    return found


def xml_violations(node, shape, path):
    """An XML element as it came, against the shape."""
    kind = shape.type_name
    if kind == "structure":
        names = {}
        for name, member in shape.members.items():
            if "location" in member.serialization:
                continue
            flat = member.type_name == "list" and member.serialization.get("flattened")
            tag = member.serialization.get("name") or (flat and member.member.serialization.get("name")) or name
            names[tag] = (member, flat)
        found = []
        for child in node:
            tag = local(child.tag)
            if tag not in names:
                found.append(f"{path}<{tag}>: not in the model")
                continue
            member, flat = names[tag]
            found += xml_violations(child, member.member if flat else member, f"{path}<{tag}>")
        return found
    if kind == "list":
        tag = shape.member.serialization.get("name", "member")
        found = [f"{path}<{local(child.tag)}>: not <{tag}>" for child in node if local(child.tag) != tag]
        return found + [violation for child in node for violation in xml_violations(child, shape.member, f"{path}<{tag}>")]
    if kind == "map":
        return []
    if len(node):
        return [f"{path}: elements inside a {kind}"]
    return []
