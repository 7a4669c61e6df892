"""`POST /v1/search`, `POST /v1/index` and `GET /v1/index`."""

import hashlib
import json
import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from handler.endpoints.embeddings import embed, fetched, floats, modalities, unit
from handler.errors import ApiError
from handler.imaging.decode import read_header
from handler.manifest import IMAGE
from handler.messages import Request, Response
from handler.schemas.fields import Item as Given
from handler.schemas.limits import FLOAT_BYTES, response_limit
from handler.search import queries, urls
from handler.search.index import Index, check_same
from handler.search.records import About, Gone, Hit, Item
from handler.search.schemas import INDEX, SEARCH, Entry
from handler.search.settings import SearchSettings
from handler.service import Service
from handler.telemetry.invocation import current, stage

if TYPE_CHECKING:
    from handler.models import LoadedModel


class Search:
    """The routes over one index."""

    def __init__(self, index: Index, settings: SearchSettings) -> None:
        self._index = index
        self._settings = settings

    def search(self, service: Service, request: Request) -> Response:
        """Answer `POST /v1/search`. Raises ApiError."""
        return self._find(service, SEARCH.of(request, service.settings))

    def find(self, service: Service, body: Any) -> Response:
        """Answer the body of `POST /v1/search`. Raises ApiError."""
        return self._find(service, SEARCH.read(body, service.settings))

    def _find(self, service: Service, fields: Mapping[str, Any]) -> Response:
        if fields["with_urls"]:
            urls.check_enabled(self._settings)
        theirs = self._index.about()
        needed = modalities([query.item for query in fields["query"] if query.item])
        ours = _of(_about(service, fields["model"] or _shared(service, theirs)), needed)
        check_same(theirs, ours, self._settings.place)
        _check_size(fields["k"], ours.dimensions if fields["with_vectors"] else 0)
        model = service.model(ours.model, needed)
        current().model = ours.model
        vector, tokens = queries.combined(fields["query"], model, service.settings)
        with stage("search"):
            hits = self._index.query(vector, ours, fields["k"], fields["filter"], fields["with_vectors"])
        links = urls.presigned(hits, self._settings) if fields["with_urls"] else [None] * len(hits)
        answer = {
            "object": "list",
            "model": ours.model,
            "data": [_hit(place, hit, link) for place, (hit, link) in enumerate(zip(hits, links, strict=True))],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        _check_answer(answer)
        return Response(200, answer)

    def change(self, service: Service, request: Request) -> Response:
        """Answer `POST /v1/index`. Raises ApiError."""
        fields = INDEX.of(request, service.settings)
        theirs = self._there()
        ours = _about(service, _shared(service, theirs) if theirs else None)
        needed = modalities([entry.image for entry in fields["put"] if entry.image])
        if theirs:
            ours = _of(ours, needed)
            check_same(theirs, ours, self._settings.place)
        seen_at = _now()
        items = _items(fields["put"], service.model(ours.model, needed), service, seen_at) if fields["put"] else []
        self._index.prepare(ours)  # now that all can be done
        if items:
            self._index.put(items, ours)
        if fields["delete"]:
            self._index.delete([Gone(entry.bucket, entry.key, seen_at) for entry in fields["delete"]])
        counts = {"put": len(items), "deleted": len(fields["delete"]), "rows": self._index.count()}
        return Response(200, {"object": "index", **counts})

    def tell(self, service: Service, request: Request) -> Response:
        """Answer `GET /v1/index`. Raises ApiError index_not_found."""
        about = self._index.about()
        takes = {"max_k": self._index.max_k, "filters": list(self._index.filters)}
        facts = {"rows": self._index.count(), "urls": bool(self._settings.url_buckets), **takes}
        return Response(200, {"object": "index", **about._asdict(), **facts})

    def _there(self) -> About | None:
        """Return what the index is of; None where there is none yet."""
        try:
            return self._index.about()
        except ApiError as error:
            if error.code != "index_not_found":
                raise
            return None


def _shared(service: Service, theirs: About) -> str | None:
    """Return the index's model where the bundle has it too; None is the bundle's first."""
    return theirs.model if theirs.model in {entry.id for entry in service.entries()} else None


def _about(service: Service, model_id: str | None) -> About:
    manifest = service.models.manifest
    entry = manifest.model(model_id)
    return About(entry.id, service.models.vectors_sha256(entry.id), service.settings.of_vectors, entry.embed_dim)


def _of(about: About, embedded: Collection[str]) -> About:
    """Leave the settings out where no image is embedded: they change the vector of nothing else."""
    return about if IMAGE in embedded else about._replace(settings={})


def _hit(place: int, hit: Hit, link: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "object": "hit",
        "index": place,
        "bucket": hit.bucket,
        "key": hit.key,
        "score": round(hit.score, 7),
        "metadata": dict(hit.metadata),
    }
    if link is not None:
        found["url"] = link
    if hit.vector is not None:
        found["vector"] = floats(hit.vector)
    return found


def _items(entries: Sequence[Entry], model: "LoadedModel", service: Service, seen_at: int) -> list[Item]:
    """Embed what is to be put, and say of each image what a batch would say of its object."""
    given = [Given(entry.image.value, entry.param) for entry in entries if entry.image is not None]
    for entry in entries:
        if entry.vector is not None:
            queries.check_length(entry.vector, model.entry.embed_dim, entry.param)
    images = list(fetched(given, service.settings))
    vectors = iter(unit(embed(images, model, service.settings)[0]) if images else np.empty((0, 1), np.float32))
    facts = iter([_facts(image, model, service) for image in images])
    items = []
    for entry in entries:
        etag, size, width, height = ("", 0, 0, 0) if entry.image is None else next(facts)
        vector = queries.scaled(entry.vector) if entry.vector is not None else next(vectors)
        items.append(Item(entry.bucket, entry.key, etag, size, seen_at, seen_at, width, height, vector))
    return items


def _facts(image: Given, model: "LoadedModel", service: Service) -> tuple[str, int, int, int]:
    data = image.value
    assert isinstance(data, bytes)  # noqa: S101 - what lay in S3 was fetched
    header = read_header(data, service.settings.max_image_pixels, model.fit, model.image_formats)
    return hashlib.md5(data, usedforsecurity=False).hexdigest(), len(data), header.width, header.height


def _check_size(k: int, dimensions: int) -> None:
    """Refuse vectors that could not pass the limit, before they are looked for."""
    most, _ = response_limit()
    if k * dimensions * FLOAT_BYTES > most:
        fit = most // (dimensions * FLOAT_BYTES)
        raise _too_large(f"{k:,} hits with vectors of {dimensions:,} numbers: ask for at most {fit:,}")


def _check_answer(answer: Mapping[str, Any]) -> None:
    """Refuse what became too large all the same, with long keys or URLs: it is JSON within JSON in Lambda's answer."""
    body = json.dumps(answer, separators=(",", ":"))
    if len(body) + body.count('"') + body.count("\\") > response_limit()[0] - 2_000:
        raise _too_large(f"{len(answer['data']):,} hits take {len(body):,} bytes")


def _too_large(what: str) -> ApiError:
    _, limit = response_limit()
    return ApiError(
        "answer_too_large", f"{what}; {limit} bytes: set `k` lower, or leave `with_vectors` or `with_urls` out", "k"
    )


def _now() -> int:
    return time.time_ns() // 1_000_000
