"""What programs do with boto3 and s3fs, against the server that the AWS_ variables name. Ends with 1 at the first difference."""

import hashlib
import io
import os
import sys
import threading
import urllib.error
import urllib.request

import boto3
import botocore.exceptions
import s3fs
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

BUCKET = sys.argv[1]
MIB = 2**20
client = boto3.client("s3")


def code_of(call):
    try:
        call()
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    raise AssertionError("the call was not refused")


def buckets():
    client.create_bucket(Bucket=BUCKET)
    client.head_bucket(Bucket=BUCKET)
    assert BUCKET in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
    assert code_of(lambda: client.create_bucket(Bucket=BUCKET)) == "BucketAlreadyOwnedByYou"


def objects():
    body = b"some bytes"
    put = client.put_object(Bucket=BUCKET, Key="a", Body=body, Metadata={"color": "red"}, ContentType="text/plain")
    assert put["ETag"] == '"%s"' % hashlib.md5(body).hexdigest()
    got = client.get_object(Bucket=BUCKET, Key="a")
    assert (got["Body"].read(), got["Metadata"], got["ContentType"]) == (body, {"color": "red"}, "text/plain")
    assert client.get_object(Bucket=BUCKET, Key="a", Range="bytes=-5")["Body"].read() == b"bytes"
    assert code_of(lambda: client.get_object(Bucket=BUCKET, Key="none")) == "NoSuchKey"
    assert code_of(lambda: client.head_object(Bucket=BUCKET, Key="none")) == "404"
    assert code_of(lambda: client.put_object(Bucket=BUCKET, Key="a", Body=b"", IfNoneMatch="*")) == "PreconditionFailed"
    client.copy_object(Bucket=BUCKET, Key="b", CopySource={"Bucket": BUCKET, "Key": "a"})
    assert client.get_object(Bucket=BUCKET, Key="b")["Body"].read() == body
    for key in ["with space", "plus+and&", "é/日本", "quote'\"<>", "tab\tkey"]:
        client.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
        assert client.get_object(Bucket=BUCKET, Key=key)["Body"].read() == key.encode()
        assert key in [each["Key"] for each in client.list_objects_v2(Bucket=BUCKET)["Contents"]]
        client.delete_object(Bucket=BUCKET, Key=key)


def transfers():
    bytes_ = os.urandom(20 * MIB + 3)
    config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB, max_concurrency=4)
    client.upload_fileobj(io.BytesIO(bytes_), BUCKET, "large", Config=config)
    target = io.BytesIO()
    client.download_fileobj(BUCKET, "large", target, Config=config)
    assert target.getvalue() == bytes_
    client.copy({"Bucket": BUCKET, "Key": "large"}, BUCKET, "large copy", Config=config)
    assert client.head_object(Bucket=BUCKET, Key="large copy")["ContentLength"] == len(bytes_)


def listings():
    for index in range(25):
        client.put_object(Bucket=BUCKET, Key="list/%02d" % index, Body=b"x")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 7})
    assert [each["Key"] for page in pages for each in page["Contents"]] == ["list/%02d" % index for index in range(25)]
    objects = [{"Key": "list/%02d" % index} for index in range(25)]
    assert len(client.delete_objects(Bucket=BUCKET, Delete={"Objects": objects})["Deleted"]) == 25
    assert "Contents" not in client.list_objects_v2(Bucket=BUCKET, Prefix="list/")


def presigned():
    # In us-east-1 alone boto3 still signs URLs by version 2.
    client = boto3.client("s3", config=Config(signature_version="s3v4"))
    if os.environ["AWS_DEFAULT_REGION"] != "us-east-1":
        client = boto3.client("s3")
    url = client.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "pre signed"}, ExpiresIn=60)
    urllib.request.urlopen(urllib.request.Request(url, data=b"by a URL", method="PUT")).close()
    url = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "pre signed"}, ExpiresIn=60)
    assert urllib.request.urlopen(url).read() == b"by a URL"
    try:
        urllib.request.urlopen(url.replace("pre%20signed", "other"))
    except urllib.error.HTTPError as error:
        assert (error.code, b"SignatureDoesNotMatch" in error.read()) == (403, True)
    else:
        raise AssertionError("a changed URL was accepted")


def threads():
    def work(number):
        for index in range(20):
            key = "threads/%d/%d" % (number, index)
            client.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
            assert client.get_object(Bucket=BUCKET, Key=key)["Body"].read() == key.encode()
            client.delete_object(Bucket=BUCKET, Key=key)

    failures = []

    def run(number):
        try:
            work(number)
        except BaseException as error:  # A thread's exception ends nothing by itself.
            failures.append(error)

    all_ = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in all_:
        thread.start()
    for thread in all_:
        thread.join()
    assert failures == [], failures


def files():
    fs = s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    bytes_ = os.urandom(12 * MIB)
    with fs.open(f"{BUCKET}/files/a.bin", "wb", block_size=5 * MIB) as file:
        file.write(bytes_)
    with fs.open(f"{BUCKET}/files/a.bin", "rb") as file:
        file.seek(7 * MIB)
        assert file.read(100) == bytes_[7 * MIB : 7 * MIB + 100]
    fs.pipe(f"{BUCKET}/files/b/c.txt", b"text")
    assert fs.find(f"{BUCKET}/files") == [f"{BUCKET}/files/a.bin", f"{BUCKET}/files/b/c.txt"]
    assert fs.info(f"{BUCKET}/files/a.bin")["size"] == len(bytes_)
    fs.mv(f"{BUCKET}/files/b/c.txt", f"{BUCKET}/files/d.txt")
    assert fs.cat(f"{BUCKET}/files/d.txt") == b"text"
    fs.rm(f"{BUCKET}/files", recursive=True)
    fs.invalidate_cache()
    assert not fs.exists(f"{BUCKET}/files/a.bin")


for case in [buckets, objects, transfers, listings, presigned, threads, files]:
    case()
    print(case.__name__, flush=True)
