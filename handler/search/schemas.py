"""The JSON bodies of the search's routes: what is checked is what their `/openapi.json` says."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from handler.errors import ApiError, shorten
from handler.schemas.fields import IMAGE, TEXT, Item, is_data_uri
from handler.schemas.requests import MODEL
from handler.schemas.validation import Body, Field, ListOf, Scalar, check_object, wrong_type
from handler.search.index import MAX_K
from handler.search.rules import BUCKET, KEY, VECTOR, FilterRule, Number
from handler.settings import Settings

MAX_QUERIES = 16
MAX_DELETED = 1_000  # keys of one request
KINDS = ("text", "image", "vector")


class Query(NamedTuple):
    """One of a search's queries: something to embed, or a vector of numbers; `weight` is from -1 to 1."""

    item: Item | None
    vector: list[float] | None
    weight: float
    param: str


class QueryRule:
    """A string, or an object of one of `text`, `image` and `vector`, with a weight."""

    def read(self, value: Any, param: str, settings: Settings) -> Query:
        """Return the query. Raises ApiError."""
        if isinstance(value, str):
            rule = IMAGE if is_data_uri(value) else TEXT
            return Query(rule.read(value, param, settings), None, 1.0, param)
        if not isinstance(value, dict):
            raise wrong_type(value, 'a string, {"text": ...}, {"image": ...} or {"vector": ...}', param)
        fields = check_object(value, (*KINDS, "weight"), param)
        kinds = [kind for kind in KINDS if kind in fields]
        if len(kinds) != 1:
            fix = "a list of queries takes several" if kinds else "a query needs one"
            raise ApiError("invalid_value", f"{param} has {len(kinds)} of `{'`, `'.join(KINDS)}`: {fix}", param)
        weight = _weight(fields.get("weight"), f"{param}.weight")
        where, content = f"{param}.{kinds[0]}", fields[kinds[0]]
        if kinds[0] == "vector":
            return Query(None, VECTOR.read(content, where, settings), weight, where)
        return Query((IMAGE if kinds[0] == "image" else TEXT).read(content, where, settings), None, weight, where)

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        rules = {"text": TEXT.schema(settings), "image": IMAGE.schema(settings), "vector": VECTOR.schema(settings)}
        weight = {"type": ["number", "null"], "minimum": -1, "maximum": 1, "default": 1}
        objects = [
            {
                "type": "object",
                "properties": {kind: rule, "weight": weight},
                "required": [kind],
                "additionalProperties": False,
            }
            for kind, rule in rules.items()
        ]
        return {"anyOf": [TEXT.schema(settings), *objects]}


def _weight(value: Any, param: str) -> float:
    if value is None:
        return 1.0
    if type(value) not in (int, float):
        raise wrong_type(value, "a number", param)
    if not -1 <= value <= 1:
        raise ApiError("invalid_value", f"{param} is {shorten(value)}: set it to a number from -1 to 1", param)
    return float(value)


class Entry(NamedTuple):
    """One thing to put: an image to embed, or its vector."""

    bucket: str
    key: str
    image: Item | None
    vector: list[float] | None
    param: str


class EntryRule(NamedTuple):
    """`{"bucket", "key"}`, and with `content` an image or a vector."""

    content: bool

    def read(self, value: Any, param: str, settings: Settings) -> Entry:
        """Return the entry. Raises ApiError."""
        fields = check_object(value, ("bucket", "key", *(("image", "vector") if self.content else ())), param)
        if "key" not in fields:
            raise ApiError("missing_input", f"{param} has no `key`: send the object's key", f"{param}.key")
        bucket = BUCKET.read("" if fields.get("bucket") is None else fields["bucket"], f"{param}.bucket", settings)
        key = KEY.read(fields["key"], f"{param}.key", settings)
        if not self.content:
            return Entry(bucket, key, None, None, param)
        given = [kind for kind in ("image", "vector") if fields.get(kind) is not None]
        if len(given) != 1:
            raise ApiError("invalid_value", f"{param} needs one of `image` and `vector`", param)
        where, content = f"{param}.{given[0]}", fields[given[0]]
        if given[0] == "vector":
            return Entry(bucket, key, None, VECTOR.read(content, where, settings), where)
        return Entry(bucket, key, IMAGE.read(content, where, settings), None, where)

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        names = {"bucket": {"anyOf": [BUCKET.schema(settings), {"type": "null"}]}, "key": KEY.schema(settings)}
        kinds = {"image": IMAGE.schema(settings), "vector": VECTOR.schema(settings)} if self.content else {}
        forms = [
            {
                "type": "object",
                "properties": {**names, **form},
                "required": ["key", *form],
                "additionalProperties": False,
            }
            for form in ([{kind: rule} for kind, rule in kinds.items()] or [{}])
        ]
        return {"anyOf": forms}


def _check_keys(values: Mapping[str, Any], settings: Settings) -> None:
    seen: dict[tuple[str, str], str] = {}
    for entry in (*values["put"], *values["delete"]):
        if (name := (entry.bucket, entry.key)) in seen:
            raise ApiError("invalid_value", f"{entry.param} has the same bucket and key as {seen[name]}", entry.param)
        seen[name] = entry.param
    if not seen:
        raise ApiError("missing_input", "send `put` or `delete`: nothing is asked for", "put")


SEARCH = Body(
    "SearchRequest",
    "The images of the index that are nearest to a text, an image, a vector, or a weighted sum of several",
    {
        "query": Field(
            ListOf(QueryRule(), or_one=True, most=MAX_QUERIES),
            "a text, an image or a vector, or a list of them: the unit vectors are added up by their weights",
            required=True,
        ),
        "model": MODEL,
        "k": Field(Number(1, MAX_K), "How many hits", default=10),
        "filter": Field(FilterRule(), "What a hit must be like. `prefix` is how its key begins"),
        "with_vectors": Field(Scalar(bool), "Whether a hit has its vector", default=False),
        "with_urls": Field(Scalar(bool), "Whether a hit of an allowed bucket has a presigned URL", default=False),
    },
)
INDEX = Body(
    "IndexRequest",
    "Adds images to the index, and removes some. What is put again replaces what was there",
    {
        "put": Field(ListOf(EntryRule(True), or_none=True), "images to embed, or their vectors", default=[]),
        "delete": Field(ListOf(EntryRule(False), or_none=True, most=MAX_DELETED), "what to remove", default=[]),
    },
    _check_keys,
)
