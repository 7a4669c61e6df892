"""Rules for JSON bodies: each reads a value and describes itself, so that /openapi.json says what is checked."""

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, Protocol

from handler.errors import MOST_QUOTED, ApiError, shorten
from handler.messages import Request
from handler.settings import Settings

NAMES = {str: "a string", bool: "true or false", int: "a whole number", float: "a number", list: "a list"}
JSON_TYPES = {str: "string", bool: "boolean", int: "integer"}


class Rule(Protocol):
    """One kind of value."""

    def read(self, value: Any, param: str, settings: Settings) -> Any:
        """Return the value as the code wants it. Raises ApiError naming `param`."""

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe in JSON Schema 2020-12 exactly what `read` takes."""


class Scalar(NamedTuple):
    """A string, an integer or a boolean; one of `choices`, if there are any."""

    kind: type
    choices: tuple[str, ...] = ()

    def read(self, value: Any, param: str, settings: Settings) -> Any:
        """Return the value. Raises ApiError invalid_type or invalid_value."""
        if type(value) is not self.kind:  # not isinstance: true is not a whole number
            raise wrong_type(value, NAMES[self.kind], param)
        if self.choices and value not in self.choices:
            raise ApiError(
                "invalid_value", f"{param} is {shorten(value)}: set it to {' or '.join(self.choices)}", param
            )
        return value

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        return {"type": JSON_TYPES[self.kind], **({"enum": list(self.choices)} if self.choices else {})}


class Field(NamedTuple):
    """One field of a body. One that is not required may be null, which is the same as leaving it out."""

    rule: Rule
    about: str
    required: bool = False
    default: Any = None


class Body(NamedTuple):
    """An object with known fields only: if a misspelled field were ignored, the response would be wrong."""

    name: str
    about: str
    fields: Mapping[str, Field]
    # A check of several fields together. Raises ApiError.
    check: Callable[[Mapping[str, Any], Settings], None] = lambda values, settings: None

    def of(self, request: Request, settings: Settings) -> dict[str, Any]:
        """Return every field of a request's JSON body. Raises ApiError."""
        body = read_json(request)
        check_query(request.query, self.fields)
        return self.read(body, settings)

    def read(self, body: Any, settings: Settings) -> dict[str, Any]:
        """Return every field, absent ones as their default. Raises ApiError."""
        given = check_object(body, self.fields)
        values = {}
        for name, one in self.fields.items():
            value = given.get(name)
            if one.required and name not in given:
                raise ApiError("missing_input", f"send `{name}`: {one.about}", name)
            absent = value is None and not one.required
            values[name] = one.default if absent else one.rule.read(value, name, settings)
        self.check(values, settings)
        return values

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        return {
            "type": "object",
            "description": self.about,
            "properties": {name: _describe(one, settings) for name, one in self.fields.items()},
            "required": [name for name, one in self.fields.items() if one.required],
            "additionalProperties": False,
        }


def _describe(one: Field, settings: Settings) -> dict[str, Any]:
    schema = one.rule.schema(settings)
    if not one.required and schema.get("type") != "null":
        schema = {"anyOf": [*schema.get("anyOf", [schema]), {"type": "null"}]}
    default = {} if one.default is None else {"default": one.default}
    return {**schema, "description": one.about, **default}


class ListOf(NamedTuple):
    """A list of at least one item and at most `most`, by default OPENCLIP_MAX_ITEMS.

    `or_one` also accepts a single item without a list, `or_none` an empty list. `refuse` checks the first item before
    anything else.
    """

    rule: Rule
    or_one: bool = False
    or_none: bool = False
    most: int | None = None
    refuse: Callable[[Any, str], None] = lambda first, param: None

    def read(self, value: Any, param: str, settings: Settings) -> list[Any]:
        """Return a list, also for a single item. Raises ApiError."""
        if not isinstance(value, list):
            if not self.or_one:
                raise wrong_type(value, "a list", param)
            return [self.rule.read(value, param, settings)]
        if not value:
            if self.or_none:
                return []
            raise ApiError("empty_input", f"`{param}` is an empty list: send at least one item", param)
        self.refuse(value[0], param)
        if len(value) > (most := self.most or settings.max_items):
            how = "" if self.most else ". OPENCLIP_MAX_ITEMS raises that"
            raise ApiError("too_many_items", f"{len(value):,} items: send at most {most:,} at once{how}", param)
        return [self.rule.read(item, f"{param}[{index}]", settings) for index, item in enumerate(value)]

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        one = self.rule.schema(settings)
        most = self.most or settings.max_items
        many = {"type": "array", "items": one, "minItems": 0 if self.or_none else 1, "maxItems": most}
        return {"anyOf": [*one.get("anyOf", [one]), many]} if self.or_one else many


def read_json(request: Request, otherwise: str = "application/json") -> Any:
    """Read a request's JSON body. Raises ApiError unsupported_media_type or invalid_json."""
    kind = request.media_type
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise ApiError(
            "unsupported_media_type",
            f"content-type is {shorten(kind)}: send {otherwise} (curl needs -H 'content-type: application/json')",
        )
    return parse_json(request.content)


def parse_json(body: str | bytes, param: str | None = None) -> Any:
    """Parse the body, or one field of a form. Raises ApiError invalid_json with the position of the error."""
    name = param or "the body"
    if not body:
        raise ApiError("invalid_json", f"{name} is empty: send JSON", param)
    try:
        return json.loads(body, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise ApiError("invalid_json", f"{name} is not JSON: {error}", param) from error
    except UnicodeDecodeError as error:
        fix = "send JSON as UTF-8 (PowerShell 5 needs -ContentType 'application/json; charset=utf-8')"
        message = f"{name} is not {error.encoding.upper()} at its byte {error.start:,}: {fix}"
        raise ApiError("invalid_json", message, param) from error
    except (ValueError, RecursionError) as error:  # in words of Python's own settings
        what = "brackets are nested too deep" if isinstance(error, RecursionError) else "a number has too many digits"
        raise ApiError("invalid_json", f"{name} cannot be read: {what}", param) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's fields. Raises ApiError if one is there twice: Python takes the last, others the first."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        seen = set[str]()
        for name, _ in pairs:
            if name in seen:
                raise ApiError(
                    "invalid_json", f"the field {shorten(name)} is there twice: send it once", printable(name)
                )
            seen.add(name)
    return fields


def check_query(query: Mapping[str, str], fields: Collection[str]) -> None:
    """Raise ApiError unknown_field for a body's field in the query string. Other parameters are ignored."""
    for name in query:
        if name in fields:
            raise ApiError("unknown_field", f"`{name}` is in the query string: put it into the JSON body", name)


def check_object(value: Any, known: Collection[str], param: str | None = None) -> Mapping[str, Any]:
    """Return an object that has known fields only. Raises ApiError invalid_type or unknown_field."""
    if not isinstance(value, dict):
        raise wrong_type(value, "an object", param)
    for name in value:
        if name not in known:
            import difflib  # late: for the message alone

            # A longer name is not a misspelling; one of 6 MB would take 2 s and 250 MB here.
            close = difflib.get_close_matches(str(name)[:MOST_QUOTED], known, n=1)
            fix = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
            where = f"{param}.{printable(name)}" if param else printable(name)
            raise ApiError("unknown_field", f"unknown field {shorten(name)}: {fix}", where)
    return value


def wrong_type(value: Any, wanted: str, param: str | None) -> ApiError:
    """Return the error for a value of another JSON type than the one wanted."""
    found = "null" if value is None else NAMES.get(type(value), "an object")
    return ApiError("invalid_type", f"{param or 'the body'} is {found}: send {wanted}", param)


def printable(name: object) -> str:
    """Return a field's name, which the client chose, in a form that is safe in a response."""
    return shorten(name).strip("'\"")
