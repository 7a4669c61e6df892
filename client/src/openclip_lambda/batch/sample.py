"""How many images a source has: counted where they are few, else estimated from a bounded number of requests.

S3 lists keys in order, 1,000 a request, and does not say how many there are. Above some ten thousand this goes down
from the prefix to a random longer one, again and again, until one request lists all of it. What lies there, times the
number of ways at each step, is an estimate of the whole without bias (D. E. Knuth, "Estimating the efficiency of
backtrack programs", 1975); the mean of many such probes is taken, and their spread tells how far off it may be.
"""

import math
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from openclip_lambda.batch.places import files_below
from openclip_lambda.formats import SUFFIXES

ENDINGS = tuple(SUFFIXES)  # of what a run takes for images
ADDED = {"avif": (".avif",), "heic": (".heic", ".heif", ".hif")}  # where the package decodes these formats, too
LAST = "\U0010ffff"  # sorts behind every other character
WAYS = 200  # next characters of a prefix; where there are more, they are too many requests
PROBES = 1000  # at most: what was asked for once costs no request again


def endings(image_formats: Iterable[str]) -> tuple[str, ...]:
    """Return the endings of keys that a run takes for images where its package decodes these formats, too."""
    return (*ENDINGS, *(ending for name in image_formats for ending in ADDED.get(name, ())))


class Survey(NamedTuple):
    """What a source holds. `bytes` are of the images. `error` is the relative standard error: 0 where all was counted.

    `complete` is false where the requests did not suffice for an estimate: there is more than the numbers say.
    """

    objects: int
    images: int
    bytes: int
    error: float = 0.0
    complete: bool = True
    requests: int = 0


class Sums(NamedTuple):
    """Objects, images, and bytes of the images."""

    objects: float = 0
    images: float = 0
    bytes: float = 0

    def plus(self, other: "Sums", weight: float = 1) -> "Sums":
        """Add another `weight` times."""
        return Sums(*(mine + weight * its for mine, its in zip(self, other, strict=True)))


class _SpentError(Exception):
    """No more requests may be made."""


def of_folder(root: Path, taken: tuple[str, ...] = ENDINGS) -> Survey:
    """Count a folder as a local run plans it: without hidden files, other kinds, and names that are not UTF-8."""
    objects = images = size = 0
    for path, facts in files_below(root):
        objects += 1
        name = path.relative_to(root).as_posix()
        told = name.encode(errors="replace").decode() == name
        if path.name.lower().endswith(taken) and not path.name.startswith(".") and told:
            images, size = images + 1, size + facts.st_size
    return Survey(objects, images, size)


def of_bucket(
    list_page: Callable[..., dict[str, Any]], prefix: str, requests: int, taken: tuple[str, ...] = ENDINGS
) -> Survey:
    """Count what lies under a prefix, or estimate it with at most `requests` requests.

    `list_page` is S3's ListObjectsV2 of one bucket: it takes `Prefix`, `StartAfter`, `ContinuationToken` and `MaxKeys`.
    `taken` are the endings of keys that count as images.
    """
    tree = _Tree(list_page, requests, taken)
    counted, done = tree.from_the_start(prefix, max(1, requests // 4))
    if done:
        return _survey(counted, requests=tree.made)
    probes = tree.probes(prefix, random.Random(prefix))  # noqa: S311 - the same source gives the same estimate
    if len(probes) < 2:
        return _survey(counted, complete=False, requests=tree.made)
    found = Sums(*(math.fsum(column) / len(probes) for column in zip(*probes, strict=True)))
    spread = math.fsum((probe.images - found.images) ** 2 for probe in probes) / (len(probes) - 1)
    error = math.sqrt(spread / len(probes)) / max(found.images, 1)
    best = Sums(*map(max, zip(found, counted, strict=True)))  # what was seen is there
    return _survey(best, error=error, requests=tree.made)


class _Node(NamedTuple):
    """What a prefix holds itself, and the longer prefixes that hold the rest."""

    own: Sums
    longer: list[str]


class _Tree:
    """Keys by their common beginnings. Each node is asked for once."""

    def __init__(self, list_page: Callable[..., dict[str, Any]], requests: int, taken: tuple[str, ...]) -> None:
        self._list_page, self._left, self._taken = list_page, requests, taken
        self._nodes: dict[str, _Node] = {}
        self.made = 0

    def from_the_start(self, prefix: str, pages: int) -> tuple[Sums, bool]:
        """Count page after page; tells whether that was all."""
        sums, more = Sums(), dict[str, str]()
        for _ in range(pages):
            page = self._ask(Prefix=prefix, **more)
            sums = sums.plus(self._sums(page))
            if not page.get("IsTruncated"):
                return sums, True
            more = {"ContinuationToken": page["NextContinuationToken"]}
        return sums, False

    def probes(self, prefix: str, rng: random.Random) -> list[Sums]:
        """Go down as often as the requests allow."""
        found: list[Sums] = []
        try:
            while len(found) < PROBES:
                found.append(self._probe(prefix, rng))
        except _SpentError:
            pass
        return found

    def _probe(self, prefix: str, rng: random.Random) -> Sums:
        sums, weight = Sums(), 1
        while True:
            if prefix not in self._nodes:
                self._nodes[prefix] = self._node(prefix)
            node = self._nodes[prefix]
            sums = sums.plus(node.own, weight)
            if not node.longer:
                return sums
            prefix, weight = rng.choice(node.longer), weight * len(node.longer)

    def _node(self, prefix: str) -> _Node:
        page = self._ask(Prefix=prefix)
        if not page.get("IsTruncated"):
            return _Node(self._sums(page), [])
        stem = self._stem(prefix, page["Contents"][0]["Key"])
        own, longer, after = Sums(), list[str](), ""
        while len(longer) < WAYS:
            first = self._first(stem, after)
            if first is None:
                return _Node(own, longer)
            key = first["Contents"][0]["Key"]
            if key == stem:
                own, after = own.plus(self._sums(first)), key
            else:
                longer.append(key[: len(stem) + 1])
                after = longer[-1] + LAST
        raise _SpentError

    def _stem(self, prefix: str, first: str) -> str:
        """Return the longest beginning that all keys under a prefix have, of which `first` is the first."""
        low, high = len(prefix), len(first)
        while low < high:
            middle = (low + high + 1) // 2
            if self._first(prefix, first[:middle] + LAST) is None:
                low = middle
            else:
                high = middle - 1
        return first[:low]

    def _first(self, prefix: str, after: str) -> dict[str, Any] | None:
        page = self._ask(Prefix=prefix, MaxKeys=1, **({"StartAfter": after} if after else {}))
        return page if page.get("Contents") else None

    def _ask(self, **options: Any) -> dict[str, Any]:
        if self._left <= 0:
            raise _SpentError
        self._left -= 1
        self.made += 1
        return self._list_page(**options)

    def _sums(self, page: dict[str, Any]) -> Sums:
        items = page.get("Contents", ())
        images = [item["Size"] for item in items if item["Key"].lower().endswith(self._taken)]
        return Sums(len(items), len(images), sum(images))


def _survey(sums: Sums, error: float = 0.0, complete: bool = True, requests: int = 0) -> Survey:
    return Survey(round(sums.objects), round(sums.images), round(sums.bytes), error, complete, requests)
