"""How large a response may become, known before anything is computed."""

from handler.errors import ApiError

MAX_RESPONSE_BYTES = 6_291_456  # Lambda's synchronous payload limit, 6 MB as AWS counts it
ENVELOPE_BYTES = 2_000  # status, headers, and the fields around the list
ITEM_BYTES = 100  # an item's own fields; the quotes are escaped once more inside the envelope
FLOAT_BYTES = 16  # the longest float32 in nine digits, `-1.23456789e-05`, and its comma


def vector_bytes(dimensions: int, encoding_format: str) -> int:
    """Return the most that one vector takes in a response."""
    return {
        "base64": 4 * -(-4 * dimensions // 3),
        "int8": 5 * dimensions,  # `-127,`
        "uint8": 4 * dimensions,
        "binary": 5 * -(-dimensions // 8),
        "ubinary": 4 * -(-dimensions // 8),
    }.get(encoding_format, FLOAT_BYTES * dimensions)


def check_response_size(items: int, dimensions: int, *formats: str, more: int = 0) -> None:
    """Raise ApiError where vectors in these formats, and `more` bytes, could not pass Lambda's limit."""
    each = ITEM_BYTES + sum(vector_bytes(dimensions, name) for name in formats)
    total = items * each + ENVELOPE_BYTES + more
    if total <= MAX_RESPONSE_BYTES:
        return
    fit = max(0, MAX_RESPONSE_BYTES - ENVELOPE_BYTES - more) // each
    smaller = 'set encoding_format to "base64", which is a third of that, or ' if "float" in formats else ""
    raise ApiError(
        "answer_too_large",
        f"{items:,} vectors of {dimensions:,} dimensions as {', '.join(formats)} take up to {items:,} x {each:,} = "
        f"{items * each:,} bytes, and Lambda answers with at most {MAX_RESPONSE_BYTES:,}: {smaller}"
        f"send at most {fit:,} at once",
        "input",
    )


def check_matrix_size(rows: int, columns: int, text_bytes: int, param: str) -> None:
    """Raise ApiError where a matrix of scores could not pass Lambda's limit; `text_bytes` stand in each row."""
    each = ITEM_BYTES + text_bytes + FLOAT_BYTES * columns
    total = rows * each + ENVELOPE_BYTES
    if total > MAX_RESPONSE_BYTES:
        fit = max(1, (MAX_RESPONSE_BYTES - ENVELOPE_BYTES) // each)
        raise ApiError(
            "answer_too_large",
            f"{rows:,} x {columns:,} scores take up to {rows:,} x {each:,} = {total:,} bytes, and Lambda answers with "
            f"at most {MAX_RESPONSE_BYTES:,}: send at most {fit:,} images at once",
            param,
        )
