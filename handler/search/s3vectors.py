"""An index in S3 Vectors: `s3vectors:<bucket>/<index>`. The service stores and ranks; the order of looks is kept here.

A key's record is one vector whose key is a digest of bucket and key. A key that is gone keeps its record, without
meaning and left out of every query, so that an older look does not bring it back. One more record says of which model
the vectors are. The service has no conditional write: of two writers of one key at the same moment, the last one wins.
"""

import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from handler.errors import ApiError, StartError
from handler.search import s3vectors_records as records
from handler.search.index import S3_VECTORS, check_same, not_found
from handler.search.records import About, Gone, Hit, Item, Vector, Where, newest, order

# "Limitations and restrictions" of S3 Vectors in AWS's guide.
PUT, GET, LIST, MAX_K, SEGMENTS = 500, 100, 1_000, 100, 16
PAYLOAD_BYTES = 18_000_000  # of one request; the service takes 20 MiB
FRESH_SECONDS = 5.0  # for which a reader believes what it read of the model
LARGE, OLD_SECONDS = 10_000, 300  # a larger index is counted once in so many seconds: a list of all takes long
T = TypeVar("T")


class S3VectorsIndex:
    """The index of one name. `client` is boto3's, and may be used by any number of threads."""

    max_k = MAX_K
    filters = tuple(name for name in Where._fields if name != "prefix")

    def __init__(self, place: str, client: Any) -> None:
        self.place = place
        bucket, _, index = place.removeprefix(S3_VECTORS).partition("/")
        self._where = {"vectorBucketName": bucket, "indexName": index}
        self._client = client
        self._counted: tuple[float, int] | None = None
        self._about: tuple[float, About] | None = None

    @classmethod
    def open(cls, place: str) -> "S3VectorsIndex":
        """Return the index at a place. Nothing is asked of AWS yet. Raises StartError without boto3."""
        return cls(place, _client())

    def prepare(self, about: About) -> None:
        """Say of which model the vectors are, where nobody has. Raises index_of_another_model, index_not_found.

        The index itself is made by the deployment: it has a number of dimensions, and metadata that no query filters.
        """
        if (theirs := self.known()) is None:
            self._check_dimensions(about)
            self.record(theirs := about)
        check_same(theirs, about, self.place)

    def record(self, about: About) -> None:
        """Say of which model, and of which settings, the vectors are, whatever was said before."""
        self._call("put_vectors", vectors=[records.about_vector(about)])
        self._about = None

    def empty(self) -> None:
        """Remove all vectors, and what is remembered of keys that are gone. The record of the model stays."""
        while any(self._remove(page) for page in self._pages()):
            pass  # from the first page again, until nothing is left on any

    def put(self, items: Sequence[Item], about: About) -> None:
        """Add or replace; an older look never replaces a newer one. Raises ApiError."""
        check_same(self.about(fresh=True), about, self.place, "what is written is of")
        self._write(items)

    def delete(self, gone: Sequence[Gone]) -> None:
        """Remove, and remember when. Raises ApiError."""
        self._write(gone)

    def query(
        self, vector: Vector, about: About, k: int, where: Where | None = None, with_vectors: bool = False
    ) -> list[Hit]:
        """Return the `k` nearest by cosine, best first. Raises ApiError, also for what S3 Vectors cannot filter by."""
        if k > MAX_K:
            raise ApiError("invalid_value", f"k is {k}: an index in S3 Vectors gives at most {MAX_K} hits", "k")
        asked = {
            "topK": k,
            "queryVector": {"float32": np.asarray(vector, np.float32).tolist()},
            "filter": records.filter_of(where or Where()),
            "returnMetadata": True,
            "returnDistance": True,
        }
        check_same(self.about(), about, self.place, "what is looked for is of")
        found = self._found(asked)
        data = self._vectors([one["key"] for one in found]) if with_vectors else {}
        return [records.hit(one, data.get(one["key"])) for one in found]

    def count(self) -> int:
        """Return how many can be found; of a large index the number may be some minutes old."""
        known = self._counted
        if known and known[1] > LARGE and time.monotonic() - known[0] < OLD_SECONDS:
            return known[1]
        return self.counts()[0]

    def counts(self) -> tuple[int, int]:
        """Return how many can be found, and how many are gone."""
        page = self._call("list_vectors", maxResults=LIST, returnMetadata=True)
        total = _counts(page)
        if page.get("nextToken"):  # more than a page: in segments, several at once
            with ThreadPoolExecutor(SEGMENTS, "openclip-count") as pool:
                total = sum(pool.map(self._count_segment, range(SEGMENTS)), np.zeros(2, int))
        self._counted = (time.monotonic(), int(total[0]))
        return int(total[0]), int(total[1])

    def about(self, fresh: bool = False) -> About:
        """Say what the vectors are of. Raises ApiError index_not_found, index_unavailable."""
        found = self.known(fresh)
        if found is None:
            raise not_found(self.place)
        return found

    def known(self, fresh: bool = False) -> About | None:
        """Return what the vectors are of, or None where nobody has said it. `fresh` asks the service in any case."""
        now = time.monotonic()
        if self._about and not fresh and now - self._about[0] < FRESH_SECONDS:
            return self._about[1]
        found = [records.read_about(one["metadata"]) for one in self._get([records.ABOUT], returnMetadata=True)]
        self._about = (now, found[0]) if found else None
        return found[0] if found else None

    def _check_dimensions(self, about: About) -> None:
        dimensions = self._call("get_index")["index"]["dimension"]
        if dimensions != about.dimensions:
            raise ApiError(
                "index_of_another_model",
                f"the index at {self.place} takes vectors of {dimensions} numbers, and {about.model} gives "
                f"{about.dimensions}: deploy the stack of the vectors again with this bundle",
                "model",
            )

    def _write(self, given: Sequence[Item | Gone]) -> None:
        if not given:
            return
        dimensions = self.about().dimensions
        latest = {records.name_of(one.bucket, one.key): one for one in newest(list(given))}
        known = {one["key"]: one["metadata"] for one in self._get(list(latest), returnMetadata=True)}
        newer = [
            records.vector_of(name, one, dimensions)
            for name, one in latest.items()
            if name not in known or order(one) > records.order_of(known[name])
        ]
        at_once = max(1, min(PUT, PAYLOAD_BYTES // (dimensions * records.NUMBER_BYTES + records.RECORD_BYTES)))
        for chunk in _chunks(newer, at_once):
            self._call("put_vectors", vectors=chunk)

    def _found(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return what a query finds. The service may give it in several pages."""
        page = self._call("query_vectors", **asked)
        found = list(page["vectors"])
        while page.get("nextToken"):
            page = self._call("query_vectors", **asked, nextToken=page["nextToken"])
            found += page["vectors"]
        return found

    def _vectors(self, names: Sequence[str]) -> dict[str, Vector]:
        found = self._get(names, returnData=True)
        return {one["key"]: np.array(one["data"]["float32"], np.float32) for one in found}

    def _get(self, names: Sequence[str], **wanted: bool) -> list[dict[str, Any]]:
        return [
            one for chunk in _chunks(names, GET) for one in self._call("get_vectors", keys=chunk, **wanted)["vectors"]
        ]

    def _count_segment(self, segment: int) -> NDArray[np.int_]:
        pages = self._pages(returnMetadata=True, segmentCount=SEGMENTS, segmentIndex=segment)
        return sum(map(_counts, pages), np.zeros(2, int))

    def _remove(self, page: Mapping[str, Any]) -> bool:
        """Remove what a page lists; tell whether there was any."""
        names = [one["key"] for one in page["vectors"] if one["key"] != records.ABOUT]
        for chunk in _chunks(names, PUT):
            self._call("delete_vectors", keys=chunk)
        return bool(names)

    def _pages(self, **asked: Any) -> Iterator[Mapping[str, Any]]:
        while True:
            page = self._call("list_vectors", maxResults=LIST, **asked)
            yield page
            if not page.get("nextToken"):
                return
            asked["nextToken"] = page["nextToken"]

    def _call(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: Mapping[str, Any] = getattr(self._client, operation)(**self._where, **arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code == "NotFoundException":
                raise not_found(self.place) from error
            raise ApiError("index_unavailable", f"S3 Vectors answered {code} for {self.place}: try again") from error
        except (BotoCoreError, OSError) as error:
            raise ApiError(
                "index_unavailable", f"S3 Vectors does not answer for {self.place}: {type(error).__name__}"
            ) from error
        return answer


def _counts(page: Mapping[str, Any]) -> NDArray[np.int_]:
    """Return how many can be found and how many are gone, without the record of the model."""
    gone = [bool(one["metadata"]["gone"]) for one in page["vectors"] if one["key"] != records.ABOUT]
    return np.array([len(gone) - sum(gone), sum(gone)])


def _chunks(things: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(things), size):
        yield list(things[start : start + size])


@functools.cache
def _client() -> Any:
    try:
        import boto3
    except ImportError as error:  # Lambda's Python has it, a workstation may not
        raise StartError("an index in S3 Vectors needs boto3: run `pip install boto3`") from error
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    # Past 1,000 requests or 2,500 vectors a second the service answers 429, which passes.
    retries: Any = {"mode": "adaptive", "max_attempts": 8}
    config = Config(connect_timeout=2, read_timeout=20, retries=retries, max_pool_connections=SEGMENTS)
    try:
        return boto3.client("s3vectors", config=config)
    except (BotoCoreError, ValueError) as error:  # of the environment's, as without a region
        fix = "correct the AWS settings where this runs (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL)"
        raise StartError(f"an index in S3 Vectors cannot be opened ({error}): {fix}") from error
