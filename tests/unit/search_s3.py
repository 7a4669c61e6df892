"""S3 over HTTP, as LanceDB and pyarrow speak it: moto's server in this process."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

from tests.unit.atomic_s3 import atomic_puts

BUCKET = "collection"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",  # LanceDB's own: elsewhere it is https
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def served() -> Iterator[tuple[Any, Mapping[str, str]]]:
    """Serve one empty bucket; yields boto3's client and the environment that a command needs."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    environment = {**ENVIRONMENT, "AWS_ENDPOINT_URL": f"http://{host.replace('0.0.0.0', '127.0.0.1')}:{port}"}
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        with atomic_puts():
            yield client, environment
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.stop()
