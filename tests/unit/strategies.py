"""What strangers send: bytes that nearly are images, events that nearly are events."""

import json
import random
import struct
from typing import Any

from hypothesis import strategies as st
from PIL import Image
from pillow_heif import register_heif_opener

from tests.unit.fake_bundle import encoded
from tests.unit.handler.test_events import HTTP_API, LOAD_BALANCER, MULTI_VALUE, REST_API

register_heif_opener()  # which saves, too


def image_bytes(kind: str, mode: str, seed: int) -> bytes:
    """An image of noise, in one of the formats and modes that there are; some with frames, some progressive."""
    chance = random.Random(seed)  # noqa: S311 - images, not secrets
    size = (chance.randint(1, 40), chance.randint(1, 40))
    image = Image.frombytes("RGBA", size, chance.randbytes(4 * size[0] * size[1])).convert(mode)
    options: dict[str, Any] = {}
    if kind in ("GIF", "WEBP", "AVIF") and chance.random() < 0.3:
        options = {"save_all": True, "append_images": [image.copy()]}
    if kind == "JPEG":
        options = {"progressive": chance.random() < 0.5, "exif": _exif(chance)}
    return encoded(image, kind, **options)


def _exif(chance: random.Random) -> bytes:
    """A directory of one to four tags, each of which may be anything, and may say that its value is anywhere."""
    tags = chance.randint(1, 4)
    places = (chance.randrange(100), chance.randrange(2**32))
    rows = [
        struct.pack(
            "<HHII", chance.randrange(2**16), chance.randint(1, 13), chance.randint(0, 9), chance.choice(places)
        )
        for _ in range(tags)
    ]
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, tags) + b"".join(rows) + chance.randbytes(40)


MODES = {"PNG": ("1", "L", "P", "RGB", "RGBA", "LA"), "JPEG": ("L", "RGB", "CMYK"), "WEBP": ("RGB", "RGBA"),
         "GIF": ("L", "P"), "BMP": ("1", "L", "P", "RGB"), "AVIF": ("L", "RGB", "RGBA"),
         "HEIF": ("L", "RGB", "RGBA")}  # fmt: skip
image_files = st.builds(
    lambda pair, seed: image_bytes(pair[0], pair[1], seed),
    st.sampled_from([(kind, mode) for kind, modes in MODES.items() for mode in modes]),
    st.integers(0, 2**32),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An image with bytes changed, cut out, doubled, or of another image put in."""
    data = bytearray(draw(image_files))
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["change", "cut", "insert", "double", "splice", "length"])):
            case "change" if place < len(data):
                data[place] = draw(st.integers(0, 255))
            case "cut":
                del data[place : place + draw(st.integers(1, 40))]
            case "insert":
                data[place:place] = draw(st.binary(max_size=20))
            case "double":
                data[place:place] = data[place : place + draw(st.integers(1, 200))]
            case "splice":
                data[place:] = draw(image_files)[place:]
            case "length":  # where formats keep sizes
                data[place : place + 4] = draw(st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"]))
    return bytes(data)


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
TEXT = st.text(max_size=30)
PATHS = ["/", "/health", "/v1/embeddings", "/v1/classify", "/v1/similarity", "/vectorize", "/openapi.json", "/docs"]
ODD_PATHS = ["//", "/%2e%2e/", "/v1", "/.well-known/live"]
METHODS = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "", "get"]
BODIES = [*(json.dumps({"input": one}) for one in ("a", [1], {"image": "////"})), "{", "", "\x00", "/9j/", "W10="]
HEADERS = ["Content-Type", "content-type", "ORIGIN", "accept-encoding"]
PARAMETERS = ["deep", "model", "x"]
parts: dict[str, st.SearchStrategy[Any]] = {
    "body": st.sampled_from(BODIES),
    "isBase64Encoded": st.booleans(),
    "rawQueryString": st.sampled_from(["deep=true", "deep=1&x", "model=tests%2Fother"]) | TEXT,
    "headers": st.dictionaries(st.sampled_from(HEADERS), TEXT),
    "queryStringParameters": st.dictionaries(st.sampled_from(PARAMETERS), st.just("true") | TEXT),
    "multiValueHeaders": st.dictionaries(st.just("content-type"), st.lists(TEXT, max_size=2)),
}


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """An event of AWS, for any method and path, with some of its parts changed for likely ones, some for anything."""
    event: dict[str, Any] = dict(draw(st.sampled_from([HTTP_API, REST_API, LOAD_BALANCER, MULTI_VALUE])))
    if draw(st.booleans()):
        method, path = draw(st.sampled_from(METHODS)), draw(st.sampled_from([*PATHS, *ODD_PATHS]))
        if "httpMethod" in event:
            event |= {"httpMethod": method, "path": path}
        else:
            event |= {"rawPath": path, "requestContext": {"http": {"method": method, "path": path}}}
    for name in draw(st.sets(st.sampled_from(list(parts)), max_size=4)):
        event[name] = draw(parts[name])
    for name in draw(
        st.sets(st.sampled_from([*parts, "httpMethod", "path", "rawPath", "version", "cookies"]), max_size=2)
    ):
        event[name] = draw(odd)
    if draw(st.booleans()) and draw(st.booleans()):
        odd_context = st.sampled_from([{"elb": {}}, {"http": draw(odd)}, {"stage": draw(odd)}])
        event["requestContext"] = draw(odd_context)
    return event
