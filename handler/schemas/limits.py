"""Limits for the size of a response, checked before anything is computed."""

from handler.errors import ApiError, counted
from handler.telemetry.invocation import current

MAX_RESPONSE_BYTES = 6_291_456  # Lambda's synchronous payload limit, 6 MB as AWS counts it
# What a load balancer takes from a function, "1 MB" (Elastic Load Balancing: "Lambda functions as targets"): a larger
# response is a 502 that says nothing.
MAX_BALANCER_BYTES = 1_000_000
ENVELOPE_BYTES = 2_000  # status, headers, and the fields around the list
ITEM_BYTES = 100  # an item's own fields; the quotes are escaped once more inside the envelope
FLOAT_BYTES = 17  # the longest float32 in nine digits, `-0.0000123456789` of orjson, and its comma


def response_limit() -> tuple[int, str]:
    """Return the most bytes that this call's response may have, and the words for an error message."""
    if current().balanced:
        return MAX_BALANCER_BYTES, f"a load balancer passes on at most {MAX_BALANCER_BYTES:,}"
    return MAX_RESPONSE_BYTES, f"Lambda answers with at most {MAX_RESPONSE_BYTES:,}"


def vector_bytes(dimensions: int, encoding_format: str) -> int:
    """Return the most bytes that one vector takes in a response."""
    return {
        "base64": 4 * -(-4 * dimensions // 3),
        "int8": 5 * dimensions,  # `-127,`
        "uint8": 4 * dimensions,
        "binary": 5 * -(-dimensions // 8),
        "ubinary": 4 * -(-dimensions // 8),
    }.get(encoding_format, FLOAT_BYTES * dimensions)


def check_response_size(
    items: int, dimensions: int, *formats: str, more: int = 0, base64: str = "", param: str | None = None
) -> None:
    """Raise ApiError if vectors in these formats, and `more` bytes of the items' own texts, may be over the limit.

    `base64` is the advice for getting base64 from the caller's API, "" if it has none; `param` is the field with the
    items, if it is a single one.
    """
    most, limit = response_limit()
    each = ITEM_BYTES + sum(vector_bytes(dimensions, name) for name in formats)
    total = items * each + ENVELOPE_BYTES + more
    if total <= most:
        return
    fit = (most - ENVELOPE_BYTES) // (each + -(-more // items))  # the texts go with the items, by their average
    # Where the texts are most of it, smaller vectors would not help.
    smaller = (
        f"{base64}, which is a third of that, or " if base64 and "float" in formats and more < items * each else ""
    )
    texts = f", the texts that the response repeats up to {more:,} more" if more > ENVELOPE_BYTES else ""
    raise ApiError(
        "answer_too_large",
        f"{items:,} vectors of {dimensions:,} dimensions as {', '.join(formats)} take up to {items:,} x {each:,} = "
        f"{items * each:,} bytes{texts}, and {limit}: {smaller}send at most {fit:,} at once",
        param,
    )


def check_matrix_size(rows: int, columns: int, text_bytes: int, param: str) -> None:
    """Raise ApiError if a matrix of scores may be over the limit; each row also has `text_bytes` of text."""
    most, limit = response_limit()
    each = ITEM_BYTES + text_bytes + FLOAT_BYTES * columns
    total = rows * each + ENVELOPE_BYTES
    if total > most:
        fit = (most - ENVELOPE_BYTES) // each
        fix = f"send at most {counted(fit, 'image')} at once" if fit else "send fewer texts, or shorter ones"
        raise ApiError(
            "answer_too_large",
            f"{rows:,} x {columns:,} scores take up to {rows:,} x {each:,} = {total:,} bytes, and {limit}: {fix}",
            param,
        )
