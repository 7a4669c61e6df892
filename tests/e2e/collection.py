"""A collection in the emulated account: a bucket of drawn images, and a stack that embeds it."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from tests.e2e.aws import Aws
from tests.e2e.deployment import Deployment
from tests.e2e.packages import package

SOURCE = "batch-photos"
GOOD, BROKEN = 117, 3
# Until a change is seen in the results, and in the index: a minute, where the machine does nothing else. tests/infra
# holds the batching windows to that, which make most of it.
ARRIVAL_SECONDS = 300
SEARCHED = ("layer",)  # shapes whose stack has a search, too: its image is made beside layers


def settings(shape: str) -> dict[str, Any]:
    """Return the stack's settings: a source, and a search for the shapes that have one."""
    search = {"search": "lance", "search_url_buckets": SOURCE} if shape in SEARCHED else {}
    return {"batch_source": f"{SOURCE}/in/", "batch_concurrency": "2", **search}


@contextmanager
def deployed(account: Aws, shape: str, bundle: Path, scratch: Path) -> Iterator[Deployment]:
    """Hold a stack that embeds SOURCE/in/, which has GOOD images, BROKEN ones and a text file."""
    extras = ("--with", "batch", *(("--with", "search") if shape in SEARCHED else ()))
    packaged = package(bundle, scratch / "build", *extras)
    (packaged / "bundle").symlink_to(bundle)
    s3 = account.client("s3")
    s3.create_bucket(Bucket=SOURCE, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_notification_configuration(Bucket=SOURCE, NotificationConfiguration={"EventBridgeConfiguration": {}})
    for number in range(GOOD):
        s3.put_object(Bucket=SOURCE, Key=f"in/{number:03d}.png", Body=drawn(number))
    for number in range(BROKEN):
        s3.put_object(Bucket=SOURCE, Key=f"in/broken-{number}.jpg", Body=b"no image")
    s3.put_object(Bucket=SOURCE, Key="in/notes.txt", Body=b"text")
    s3.put_object(Bucket=SOURCE, Key="elsewhere/a.png", Body=drawn(1))
    deployment = Deployment(account, f"batch-{shape}", shape, scratch)
    try:
        deployment.deploy(packaged, **settings(shape))
        deployment.warm()
        # It demands TLS, and the emulator serves http.
        s3.delete_bucket_policy(Bucket=deployment.outputs["BatchBucket"])
        yield deployment
    finally:
        deployment.destroy()
        for bucket in (SOURCE, deployment.outputs.get("BatchBucket", SOURCE)):
            empty(s3, bucket)


def drawn(number: int) -> bytes:
    image = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(image).ellipse((8, 8, 24 + number % 32, 56), fill=(2 * number % 256, 80, 200))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def empty(s3: Any, bucket: str) -> None:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", ()):
            s3.delete_object(Bucket=bucket, Key=item["Key"])
    s3.delete_bucket(Bucket=bucket)
