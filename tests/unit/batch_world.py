"""A source bucket and an output bucket in an emulated S3, and a worker with the engine whose vectors can be worked out.

The newest state is read as docs/collections.md tells users to read it: by DuckDB, over the files themselves.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import duckdb
import numpy as np
from moto import mock_aws
from PIL import Image

from handler.batch.reader import BucketReader
from handler.batch.shard import Work
from handler.batch.store import Bucket
from handler.service import Service
from tests.documents import blocks
from tests.unit.atomic_s3 import atomic_puts
from tests.unit.fake_bundle import FakeFunction

SOURCE, OUTPUT = "photos", "vectors"


def png(red: int, green: int = 0, blue: int = 0) -> bytes:
    """One color, 8x6 pixels."""
    out = io.BytesIO()
    Image.new("RGB", (8, 6), (red, green, blue)).save(out, "PNG")
    return out.getvalue()


def vector(red: int, green: int = 0, blue: int = 0) -> list[float]:
    """What the engine of tests/unit/fake_bundle.py gives for that image, brought to unit length."""
    found = np.array([red / 255, green / 255, blue / 255, 1.0])
    return list(found / np.linalg.norm(found))


@dataclass(frozen=True)
class World:
    """boto3's client, and what the worker works with."""

    s3: Any
    work: Work
    service: Service

    def put(self, key: str, data: bytes) -> None:
        self.s3.put_object(Bucket=SOURCE, Key=key, Body=data)

    def names(self, prefix: str = "") -> list[str]:
        found = self.s3.list_objects_v2(Bucket=OUTPUT, Prefix=prefix).get("Contents", [])
        return [item["Key"] for item in found]

    def download(self, folder: Path) -> Path:
        for name in self.names():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            self.s3.download_file(OUTPUT, name, str(folder / name))
        return folder


@contextmanager
def world(bundle: Path) -> Iterator[World]:
    """Make the buckets, for as long as the block runs."""
    with mock_aws(), atomic_puts():
        client = boto3.client("s3", region_name="us-east-1")
        for name in (SOURCE, OUTPUT):
            client.create_bucket(Bucket=name)
        service = FakeFunction(bundle).service
        reader = BucketReader(client, service.settings.max_object_bytes)
        digest = service.models.manifest.sha256
        work = Work(service.model(None), digest, service.settings, reader, Bucket(client, OUTPUT))
        yield World(client, work, service)


def newest(folder: Path, query: str = "") -> dict[str, list[float]]:
    """Read the newest vector of each key with the query of the docs."""
    query = query or next(block.code for block in blocks("docs/collections.md") if block.language == "sql")
    found: Any = duckdb.sql(query.replace("s3://BUCKET", str(folder)))
    return {row[1]: list(row[2]) for row in found.fetchall()}
