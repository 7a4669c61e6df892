"""What a field of a search may hold: numbers, names of objects, times, vectors, and filters made of them."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from handler.errors import ApiError, shorten
from handler.imaging.s3 import MAX_KEY_BYTES
from handler.schemas.validation import Scalar, check_object, wrong_type
from handler.search.records import RANGES, Range, Where
from handler.settings import Settings

MAX_DIMENSIONS = 65_536  # of a vector in a request; the model's own number is compared later
MAX_NUMBER = 2**63 - 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NUMBER_SCHEMA = {"type": "number"}


class Number(NamedTuple):
    """A whole number within bounds."""

    least: int
    most: int

    def read(self, value: Any, param: str, settings: Settings) -> int:
        """Return the number. Raises ApiError."""
        number: int = Scalar(int).read(value, param, settings)
        if not self.least <= number <= self.most:
            raise ApiError(
                "invalid_value", f"{param} is {shorten(value)}: set it to {self.least:,} to {self.most:,}", param
            )
        return number

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


class Name(NamedTuple):
    """A text of at most so many bytes in UTF-8: a bucket, a key, or a key's beginning."""

    least: int
    most: int
    slash: bool = True  # whether it may hold one

    def read(self, value: Any, param: str, settings: Settings) -> str:
        """Return the text. Raises ApiError."""
        text: str = Scalar(str).read(value, param, settings)
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            raise ApiError("invalid_value", f"{param} is not Unicode: half a surrogate pair", param) from error
        if not self.least <= size <= self.most:
            raise ApiError("invalid_value", f"{param} has {size:,} bytes: send {self.least} to {self.most:,}", param)
        if "\0" in text or ("/" in text and not self.slash):
            raise ApiError("invalid_value", f"{param} is {shorten(text)}, which no bucket or key is called", param)
        return text

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it. `maxLength` counts characters, of which each is a byte at least."""
        return {
            "type": "string",
            "minLength": self.least,
            "maxLength": self.most,
            "pattern": "^[^\\u0000]*$" if self.slash else "^[^/\\u0000]*$",
        }


BUCKET, KEY, PREFIX = Name(0, 255, slash=False), Name(1, MAX_KEY_BYTES), Name(0, MAX_KEY_BYTES)


class VectorRule:
    """A list of finite numbers that are not all 0."""

    def read(self, value: Any, param: str, settings: Settings) -> list[float]:
        """Return the numbers. Raises ApiError."""
        if not isinstance(value, list):
            raise wrong_type(value, "a list of numbers", param)
        if not 0 < len(value) <= MAX_DIMENSIONS:
            raise ApiError("invalid_vector", f"{param} has {len(value):,} numbers: send the model's dimensions", param)
        for index, number in enumerate(value):
            if type(number) not in (int, float):
                raise wrong_type(number, "a number", f"{param}[{index}]")
        try:
            numbers = [float(number) for number in value]
        except OverflowError:
            numbers = [math.inf]
        if not all(map(math.isfinite, numbers)):
            raise ApiError("invalid_vector", f"{param} has a number that is not finite: send other ones", param)
        if not any(numbers):
            raise ApiError("invalid_vector", f"{param} has zeros only, and so no direction: send another one", param)
        return numbers

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        return {"type": "array", "items": NUMBER_SCHEMA, "minItems": 1, "maxItems": MAX_DIMENSIONS}


VECTOR = VectorRule()


class Moment:
    """A time in ISO 8601, or a date; without a zone it is UTC."""

    def read(self, value: Any, param: str, settings: Settings) -> int:
        """Return milliseconds since 1970. Raises ApiError."""
        text = Scalar(str).read(value, param, settings)
        try:
            found = datetime.fromisoformat(text)
            # In whole numbers: as a float, a time that a hit has may come out a millisecond early.
            return ((found if found.tzinfo else found.replace(tzinfo=UTC)) - EPOCH) // timedelta(milliseconds=1)
        except (ValueError, OverflowError) as error:
            fix = "send ISO 8601, as 2026-11-27T12:00:00Z"
            raise ApiError("invalid_value", f"{param} is {shorten(text)}: {fix}", param) from error

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        return {"type": "string", "format": "date-time"}


class RangeRule(NamedTuple):
    """`{"gte": ..., "lte": ...}`, one of them or both."""

    each: Number | Moment

    def read(self, value: Any, param: str, settings: Settings) -> Range:
        """Return the range. Raises ApiError."""
        fields = check_object(value, Range._fields, param)
        given = {
            name: self.each.read(one, f"{param}.{name}", settings) for name, one in fields.items() if one is not None
        }
        return Range(**given)

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        each = {"anyOf": [self.each.schema(settings), {"type": "null"}]}
        return {"type": "object", "properties": dict.fromkeys(Range._fields, each), "additionalProperties": False}


COUNTED = RangeRule(Number(0, MAX_NUMBER))
FILTERS: dict[str, Any] = {
    "bucket": BUCKET,
    "prefix": PREFIX,
    **dict.fromkeys(RANGES, COUNTED),
    "last_modified": RangeRule(Moment()),
}


class FilterRule:
    """What a hit must be like."""

    def read(self, value: Any, param: str, settings: Settings) -> Where:
        """Return the filter. Raises ApiError."""
        fields = check_object(value, FILTERS, param)
        return Where(
            **{
                name: FILTERS[name].read(one, f"{param}.{name}", settings)
                for name, one in fields.items()
                if one is not None
            }
        )

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        properties = {name: {"anyOf": [rule.schema(settings), {"type": "null"}]} for name, rule in FILTERS.items()}
        return {"type": "object", "properties": properties, "additionalProperties": False}
