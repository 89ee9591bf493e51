"""S3 as boto3 uses it."""
import hashlib
import io
import os
import urllib.error
import urllib.request
import zlib
from base64 import b64encode

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from jobs import unique
from region import wait_until

MEBIBYTE = 1024 * 1024


def refused(call, code, status, **arguments):
    """The call is refused with the code and HTTP status; the message."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    return response["Error"].get("Message", "")


def test_a_bucket_from_creation_to_deletion(clients):
    name = unique("bucket")
    clients.s3.create_bucket(Bucket=name)
    listed = {bucket["Name"]: bucket for bucket in clients.s3.list_buckets()["Buckets"]}
    assert listed[name]["CreationDate"]
    clients.s3.head_bucket(Bucket=name)
    clients.s3.put_object(Bucket=name, Key="one", Body=b"1")
    refused(clients.s3.delete_bucket, "BucketNotEmpty", 409, Bucket=name)
    clients.s3.delete_object(Bucket=name, Key="one")
    clients.s3.delete_bucket(Bucket=name)
    refused(clients.s3.head_bucket, "404", 404, Bucket=name)
    assert name not in [bucket["Name"] for bucket in clients.s3.list_buckets()["Buckets"]]


def test_the_owner_is_checked_when_the_caller_asks_for_it(clients, bucket):
    clients.s3.head_bucket(Bucket=bucket, ExpectedBucketOwner="000000000000")
    refused(clients.s3.head_bucket, "403", 403, Bucket=bucket, ExpectedBucketOwner="111122223333")
    refused(clients.s3.put_object, "AccessDenied", 403, Bucket=bucket, Key="k", Body=b"", ExpectedBucketOwner="111122223333")


@pytest.mark.parametrize("name", ["Capital-Letters", "under_score", "a", "-dash-first", "two..dots"])
def test_a_bad_bucket_name_is_refused(clients, name):
    refused(clients.s3.create_bucket, "InvalidBucketName", 400, Bucket=name)


def test_an_object_comes_back_as_it_was_put(clients, bucket):
    body = os.urandom(70_000)
    put = clients.s3.put_object(Bucket=bucket, Key="a/b c.bin", Body=body, ContentType="image/png", Metadata={"origin": "peers"})
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = clients.s3.get_object(Bucket=bucket, Key="a/b c.bin")
    assert got["Body"].read() == body
    head = clients.s3.head_object(Bucket=bucket, Key="a/b c.bin")
    for answer in (got, head):
        assert answer["ContentLength"] == len(body)
        assert answer["ContentType"] == "image/png"
        assert answer["Metadata"] == {"origin": "peers"}
        assert answer["ETag"] == put["ETag"]
        assert answer["LastModified"]


def test_an_empty_object_and_an_overwritten_one(clients, bucket):
    clients.s3.put_object(Bucket=bucket, Key="k", Body=b"")
    assert clients.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b""
    clients.s3.put_object(Bucket=bucket, Key="k", Body=b"long text")
    clients.s3.put_object(Bucket=bucket, Key="k", Body=b"short")
    assert clients.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"short"


def test_what_the_sagemaker_sdk_adds_to_an_upload_is_accepted(clients, bucket):
    clients.s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms", ExpectedBucketOwner="000000000000", ChecksumAlgorithm="CRC32")
    assert clients.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_a_checksum_is_kept_and_a_wrong_one_refused(clients, bucket):
    right = b64encode(zlib.crc32(b"body").to_bytes(4, "big")).decode()
    wrong = b64encode(zlib.crc32(b"other").to_bytes(4, "big")).decode()
    assert clients.s3.put_object(Bucket=bucket, Key="k", Body=b"body", ChecksumCRC32=right)["ChecksumCRC32"] == right
    refused(clients.s3.put_object, "BadDigest", 400, Bucket=bucket, Key="bad", Body=b"body", ChecksumCRC32=wrong)
    refused(clients.s3.head_object, "404", 404, Bucket=bucket, Key="bad")


@pytest.mark.parametrize(
    "asked, wanted, shown",
    [("bytes=2-5", b"2345", "bytes 2-5/10"), ("bytes=7-", b"789", "bytes 7-9/10"), ("bytes=-4", b"6789", "bytes 6-9/10"), ("bytes=8-99", b"89", "bytes 8-9/10")],
)
def test_a_range_of_an_object(clients, bucket, asked, wanted, shown):
    clients.s3.put_object(Bucket=bucket, Key="digits", Body=b"0123456789")
    part = clients.s3.get_object(Bucket=bucket, Key="digits", Range=asked)
    assert part["Body"].read() == wanted
    assert part["ContentRange"] == shown
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206


def test_errors_of_objects(clients, bucket):
    clients.s3.put_object(Bucket=bucket, Key="digits", Body=b"0123456789")
    refused(clients.s3.get_object, "InvalidRange", 416, Bucket=bucket, Key="digits", Range="bytes=10-20")
    refused(clients.s3.get_object, "NoSuchKey", 404, Bucket=bucket, Key="none")
    refused(clients.s3.head_object, "404", 404, Bucket=bucket, Key="none")
    refused(clients.s3.get_object, "NoSuchBucket", 404, Bucket=unique("none"), Key="none")
    refused(clients.s3.put_object, "NoSuchBucket", 404, Bucket=unique("none"), Key="none", Body=b"")
    refused(clients.s3.list_objects_v2, "NoSuchBucket", 404, Bucket=unique("none"))
    clients.s3.delete_object(Bucket=bucket, Key="none")


def test_conditions(clients, bucket):
    tag = clients.s3.put_object(Bucket=bucket, Key="k", Body=b"v1")["ETag"]
    refused(clients.s3.get_object, "304", 304, Bucket=bucket, Key="k", IfNoneMatch=tag)
    refused(clients.s3.get_object, "PreconditionFailed", 412, Bucket=bucket, Key="k", IfMatch='"0123"')
    refused(clients.s3.put_object, "PreconditionFailed", 412, Bucket=bucket, Key="k", Body=b"v2", IfNoneMatch="*")
    assert clients.s3.get_object(Bucket=bucket, Key="k", IfMatch=tag)["Body"].read() == b"v1"


def test_copy_and_delete_many(clients, bucket):
    clients.s3.put_object(Bucket=bucket, Key="from", Body=b"text", ContentType="text/plain")
    clients.s3.copy_object(Bucket=bucket, Key="deep/to", CopySource={"Bucket": bucket, "Key": "from"})
    assert clients.s3.get_object(Bucket=bucket, Key="deep/to")["Body"].read() == b"text"
    gone = clients.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "from"}, {"Key": "deep/to"}, {"Key": "never"}]})
    assert {deleted["Key"] for deleted in gone["Deleted"]} == {"from", "deep/to", "never"}
    assert clients.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def listed(clients, **arguments):
    """All keys and common prefixes over all pages, and the number of pages."""
    keys, prefixes, pages = [], [], 0
    for page in clients.s3.get_paginator("list_objects_v2").paginate(**arguments):
        keys += [entry["Key"] for entry in page.get("Contents", [])]
        prefixes += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
        pages += 1
    return keys, prefixes, pages


def test_listing_by_prefix_delimiter_and_pages(clients, bucket):
    every = sorted([f"train/{digit}/{number}.png" for digit in range(3) for number in range(4)] + ["readme", "train.txt"])
    for key in every:
        clients.s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert listed(clients, Bucket=bucket)[0] == every
    assert listed(clients, Bucket=bucket, MaxKeys=5) == (every, [], 3)
    assert listed(clients, Bucket=bucket, Delimiter="/")[:2] == (["readme", "train.txt"], ["train/"])
    assert listed(clients, Bucket=bucket, Prefix="train/", Delimiter="/")[:2] == ([], ["train/0/", "train/1/", "train/2/"])
    assert listed(clients, Bucket=bucket, Prefix="train/", Delimiter="/", MaxKeys=2)[1:] == (["train/0/", "train/1/", "train/2/"], 2)
    assert listed(clients, Bucket=bucket, Prefix="tr")[0] == [key for key in every if key.startswith("tr")]
    assert listed(clients, Bucket=bucket, StartAfter="train/1/3.png")[0] == [key for key in every if key > "train/1/3.png"]
    assert listed(clients, Bucket=bucket, Prefix="none/")[0] == []
    entry = clients.s3.list_objects_v2(Bucket=bucket, Prefix="readme")["Contents"][0]
    assert entry["Size"] == 6 and entry["ETag"] == f'"{hashlib.md5(b"readme").hexdigest()}"' and entry["LastModified"]
    first = clients.s3.list_objects(Bucket=bucket, MaxKeys=3)
    assert first["IsTruncated"] and [entry["Key"] for entry in first["Contents"]] == every[:3]


def test_a_thousand_and_one_keys_need_a_second_page(clients, bucket):
    for number in range(1001):
        clients.s3.put_object(Bucket=bucket, Key=f"k/{number:04}", Body=b"")
    keys, _, pages = listed(clients, Bucket=bucket, Prefix="k/")
    assert (len(keys), pages) == (1001, 2)
    assert keys == sorted(set(keys))


ODD_KEYS = ["with space", "plus+sign", "per%20cent", "amp&<angle>", "uml-äöü-日本", "quote'\"", "a//b", "tail/", "dot.", "~tilde(1)!*", "percent%", "#hash?query=1"]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_any_text_can_be_a_key(clients, bucket, key):
    clients.s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert listed(clients, Bucket=bucket)[0] == [key]
    clients.s3.delete_object(Bucket=bucket, Key=key)
    assert listed(clients, Bucket=bucket)[0] == []


def test_a_key_may_be_the_folder_of_another(clients, bucket):
    for key in ("a/b", "a", "a/b/c"):
        clients.s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for key in ("a", "a/b", "a/b/c"):
        assert clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert listed(clients, Bucket=bucket)[0] == ["a", "a/b", "a/b/c"]


@pytest.mark.parametrize("key", ["../escaped", "a/../../escaped", "..", "./escaped", "/escaped"])
def test_no_key_leaves_the_bucket(clients, region, bucket, key):
    try:
        clients.s3.put_object(Bucket=bucket, Key=key, Body=b"escaped")
        assert clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"escaped"
    except ClientError as error:
        assert 400 <= error.response["ResponseMetadata"]["HTTPStatusCode"] < 500
    for folder in (region.data.parent, region.data.parent.parent, region.data):
        assert not (folder / "escaped").exists()


def test_a_large_file_goes_up_in_parts_and_comes_back(clients, bucket, tmp_path):
    body = os.urandom(20 * MEBIBYTE + 17)
    source = tmp_path / "large.bin"
    source.write_bytes(body)
    clients.s3.upload_file(str(source), bucket, "large.bin")
    assert clients.s3.head_object(Bucket=bucket, Key="large.bin")["ETag"].endswith('-3"')
    target = io.BytesIO()
    clients.s3.download_fileobj(bucket, "large.bin", target)
    assert target.getvalue() == body


def test_a_multipart_upload_by_hand(clients, bucket):
    upload = clients.s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    bodies = [b"a" * 5 * MEBIBYTE, b"b" * 5 * MEBIBYTE, b"the end"]
    parts = []
    for number, body in enumerate(bodies, 1):
        tag = clients.s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=number, Body=body)["ETag"]
        parts.append({"PartNumber": number, "ETag": tag})
    assert [part["Size"] for part in clients.s3.list_parts(Bucket=bucket, Key="parts", UploadId=upload)["Parts"]] == [len(body) for body in bodies]
    assert [entry["UploadId"] for entry in clients.s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]
    refused(clients.s3.head_object, "404", 404, Bucket=bucket, Key="parts")
    done = clients.s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
    digests = b"".join(hashlib.md5(body).digest() for body in bodies)
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
    assert clients.s3.get_object(Bucket=bucket, Key="parts")["Body"].read() == b"".join(bodies)


def test_an_aborted_multipart_upload_leaves_nothing(clients, bucket):
    upload = clients.s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    clients.s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    clients.s3.abort_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload)
    assert not clients.s3.list_multipart_uploads(Bucket=bucket).get("Uploads")
    refused(clients.s3.upload_part, "NoSuchUpload", 404, Bucket=bucket, Key="parts", UploadId=upload, PartNumber=2, Body=b"x")
    assert listed(clients, Bucket=bucket)[0] == []


@pytest.fixture(params=["s3", "s3v4"])
def signer(request, clients):
    """A client that signs links by the given version; boto3's default in us-east-1 is the older one, "s3"."""
    return clients.session.client("s3", endpoint_url=clients.env["AWS_ENDPOINT_URL"], config=Config(signature_version=request.param))


def opened(url, method="GET", body=None, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, method=method, data=body, headers=headers), timeout=10) as answer:
        return answer.read(), answer.headers


def not_opened(url, code, **request):
    with pytest.raises(urllib.error.HTTPError) as caught:
        opened(url, **request)
    assert caught.value.code == 403 and f"<Code>{code}</Code>".encode() in caught.value.read()


def test_a_presigned_url_opens_one_object_and_no_other(clients, signer, bucket):
    clients.s3.put_object(Bucket=bucket, Key="shared ü+", Body=b"for you")
    clients.s3.put_object(Bucket=bucket, Key="secret", Body=b"not for you")
    url = signer.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "shared ü+"}, ExpiresIn=604800)
    assert opened(url)[0] == b"for you"
    not_opened(url.replace("shared%20%C3%BC%2B", "secret"), "SignatureDoesNotMatch")
    not_opened(url, "SignatureDoesNotMatch", method="PUT", body=b"mine")
    not_opened(url, "AccessDenied" if "X-Amz" in url else "SignatureDoesNotMatch", **{"x-amz-meta-a": "b"})
    renamed = signer.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "secret", "ResponseContentDisposition": 'attachment; filename="a b.txt"', "ResponseContentType": "text/x"})
    headers = opened(renamed)[1]
    assert (headers["Content-Disposition"], headers["Content-Type"]) == ('attachment; filename="a b.txt"', "text/x")
    assert opened(signer.generate_presigned_url("head_object", Params={"Bucket": bucket, "Key": "secret"}), method="HEAD")[1]["Content-Length"] == "11"


def test_a_presigned_url_takes_an_object(clients, signer, bucket):
    url = signer.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "sent", "ContentType": "text/x", "Metadata": {"from": "peers"}})
    opened(url, method="PUT", body=b"through a link", **{"Content-Type": "text/x", "x-amz-meta-from": "peers"})
    got = clients.s3.get_object(Bucket=bucket, Key="sent")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (b"through a link", "text/x", {"from": "peers"})
    not_opened(url, "SignatureDoesNotMatch", method="PUT", body=b"", **{"Content-Type": "text/y", "x-amz-meta-from": "peers"})


def test_a_presigned_url_expires(signer, bucket):
    url = signer.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=1)
    wait_until(lambda: expired(url), "the link to expire", seconds=10)


def expired(url):
    try:
        opened(url)
    except urllib.error.HTTPError as error:
        return b"Request has expired" in error.read()


def test_tags_of_objects(clients, bucket):
    s3 = clients.s3

    def tags(key):
        return {tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}

    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="team=red%20fox&empty=")
    assert tags("k") == {"team": "red fox", "empty": ""}
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 2
    s3.copy_object(Bucket=bucket, Key="same", CopySource={"Bucket": bucket, "Key": "k"})
    s3.copy_object(Bucket=bucket, Key="other", CopySource={"Bucket": bucket, "Key": "k"}, TaggingDirective="REPLACE", Tagging="a=b")
    assert (tags("same"), tags("other")) == ({"team": "red fox", "empty": ""}, {"a": "b"})
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "one", "Value": "1"}]})
    assert tags("k") == {"one": "1"}
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert tags("k") == {} and "TagCount" not in s3.get_object(Bucket=bucket, Key="k")
    refused(s3.get_object_tagging, "NoSuchKey", 404, Bucket=bucket, Key="none")
    refused(s3.put_object, "InvalidTag", 400, Bucket=bucket, Key="k", Body=b"", Tagging="&".join(f"k{number}=v" for number in range(11)))
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", Tagging="in=parts")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
    assert tags("parts") == {"in": "parts"}


def test_tags_of_buckets(clients, bucket):
    refused(clients.s3.get_bucket_tagging, "NoSuchTagSet", 404, Bucket=bucket)
    tags = [{"Key": "cost", "Value": "dogs & <cats>"}]
    clients.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert clients.s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    clients.s3.delete_bucket_tagging(Bucket=bucket)
    refused(clients.s3.get_bucket_tagging, "NoSuchTagSet", 404, Bucket=bucket)
    clients.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    clients.s3.delete_bucket(Bucket=bucket)
    clients.s3.create_bucket(Bucket=bucket)
    refused(clients.s3.get_bucket_tagging, "NoSuchTagSet", 404, Bucket=bucket)


def test_a_storage_class_is_remembered(clients, bucket):
    clients.s3.put_object(Bucket=bucket, Key="cold", Body=b"x", StorageClass="STANDARD_IA")
    clients.s3.put_object(Bucket=bucket, Key="warm", Body=b"x", StorageClass="STANDARD")
    assert clients.s3.head_object(Bucket=bucket, Key="cold")["StorageClass"] == "STANDARD_IA"
    assert "StorageClass" not in clients.s3.head_object(Bucket=bucket, Key="warm")
    assert {entry["Key"]: entry["StorageClass"] for entry in clients.s3.list_objects_v2(Bucket=bucket)["Contents"]} == {"cold": "STANDARD_IA", "warm": "STANDARD"}
    clients.s3.copy_object(Bucket=bucket, Key="cold", CopySource={"Bucket": bucket, "Key": "cold"}, StorageClass="STANDARD")
    assert "StorageClass" not in clients.s3.head_object(Bucket=bucket, Key="cold")
    refused(clients.s3.put_object, "InvalidStorageClass", 400, Bucket=bucket, Key="k", Body=b"", StorageClass="WARM")


@pytest.mark.parametrize("key", ["new\nline", "return\r\nhere", "tab\there", " edges ", "\x7f\x85", "amp&<angle>\"'"])
def test_keys_with_control_characters_are_deleted_in_bulk(clients, bucket, key):
    clients.s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    gone = clients.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
    assert [deleted["Key"] for deleted in gone["Deleted"]] == [key]
    assert listed(clients, Bucket=bucket)[0] == []


def test_a_key_that_xml_cannot_hold_is_deleted_in_bulk(clients, bucket):
    clients.s3.put_object(Bucket=bucket, Key="bell\x07", Body=b"x")
    assert len(clients.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "bell\x07"}]})["Deleted"]) == 1
    assert listed(clients, Bucket=bucket)[0] == []
