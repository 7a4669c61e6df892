"""Image formats: one table in the handler. Client, playground, builder and documents hold copies of parts of it."""

import json
import re
from pathlib import Path

import pytest
from openclip_lambda import formats

from handler.batch import rows
from handler.endpoints import openapi
from handler.errors import ImageError
from handler.imaging import added_formats, decode, other_formats
from handler.settings import Settings
from infra.functions.planner import index as planner
from layer.files import own_samples
from layer.naming import image_formats
from tests.contracts.agreement import agree

ROOT = Path(__file__).parents[2]
SERVER, OTHERS = "handler/imaging/decode.py", "handler/imaging/other_formats.py"
ROWS, PLANNER = "handler/batch/rows.py", "infra/functions/planner/index.py"
ADDED = "handler/imaging/added_formats.py"
CLIENT = "client/src/openclip_lambda/formats.py"
PLAYGROUND = "handler/endpoints/playground/images.js"
TAKEN = decode.FORMATS


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_the_names_and_suffixes() -> None:
    by_suffix = {suffix: name for name, known in TAKEN.items() for suffix in known.suffixes}
    agree("the suffixes of images that the API takes", {SERVER: by_suffix, CLIENT: formats.SUFFIXES})


def test_what_else_people_take_for_images() -> None:
    """Videos apart: a batch says nothing of them."""
    clients = {suffix for suffix, kind in formats.OTHER_SUFFIXES.items() if kind != "video"}
    agree(
        "the endings of images that are left out of a batch",
        {CLIENT: sorted(clients), ROWS: sorted(rows.OTHER_ENDINGS), PLANNER: sorted(planner.OTHER_ENDINGS)},
    )


def test_what_a_batch_takes_for_images() -> None:
    agree("image endings of a batch", {ROWS: rows.endings(()), PLANNER: planner.ENDINGS})
    added = {name: known.suffixes for name, known in added_formats.ADDED.items()}
    agree("image endings of a batch where the bundle has more formats", {ADDED: added, PLANNER: planner.ADDED})


def test_the_media_types() -> None:
    [in_page] = re.findall(r"^const taken = new Set\(\[(.+)\]\)", text(PLAYGROUND), re.MULTILINE)
    content = openapi.document((), Settings())["paths"]["/v1/embeddings"]["post"]["requestBody"]["content"]
    agree(
        "the media types of images that the API takes",
        {
            SERVER: sorted(known.media_type for known in TAKEN.values()),
            PLAYGROUND: sorted(re.findall(r'"([^"]+)"', in_page)),
            "handler/endpoints/openapi.py": sorted(name for name in content if name.startswith("image/")),
        },
    )


def test_the_names_in_the_documents() -> None:
    [listed] = re.findall(r"^(.+) are accepted\. The first bytes", text("docs/api.md"), re.MULTILINE)
    agree(
        "the names of the formats that the API takes",
        {
            SERVER: sorted(map(str, TAKEN)),
            "docs/api.md": sorted(re.findall(r"\w+", listed.replace(" and ", " ").upper())),
        },
    )


def test_the_formats_that_image_formats_adds() -> None:
    schema = json.loads(text("docs/manifest.schema.json"))["properties"]["target"]["properties"]["image_formats"]
    [listed] = re.findall(r'image_formats = \[([a-z", ]+)\]', text("docs/api.md"))
    by_suffix = {suffix for suffix, kind in formats.OTHER_SUFFIXES.items() if kind in (*added_formats.SETTINGS,)}
    agree(
        "the formats that image_formats may name",
        {
            ADDED: sorted(added_formats.ADDED),
            "layer/naming/image_formats.py": sorted(image_formats.DECODERS),
            "docs/manifest.schema.json": sorted(schema["items"]["enum"]),
            "docs/api.md": sorted(re.findall(r"\w+", listed)),
        },
    )
    agree(
        "the suffixes of the formats that image_formats adds",
        {ADDED: sorted(s for known in added_formats.ADDED.values() for s in known.suffixes), CLIENT: sorted(by_suffix)},
    )
    agree(
        "the formats that the client converts, and that image_formats may add",
        {ADDED: sorted(added_formats.SETTINGS), CLIENT: sorted(set(formats.CONVERTED) - {"TIFF"})},
    )


def test_what_an_api_with_all_formats_says_of_them() -> None:
    content = openapi.document((), Settings(), tuple(added_formats.ADDED))["paths"]["/v1/embeddings"]["post"][
        "requestBody"
    ]["content"]
    assert {known.media_type for known in added_formats.ADDED.values()} <= set(content)


def test_the_first_bytes() -> None:
    starts = sorted(start for known in TAKEN.values() if not known.at_8 for start in known.starts)
    agree("the first bytes of images that the API takes", {SERVER: starts, CLIENT: sorted(formats.TAKEN)})
    for name, known in TAKEN.items():
        for start in known.starts:
            head = (start.ljust(8, b"\0") + known.at_8).ljust(64, b"\0")
            assert formats.why_not("x", head) is None, f"{SERVER} takes {name}, {CLIENT} does not"


def named(kind: str) -> str:
    """Return the name that both use: the client says of every video what to do with it."""
    return "video" if "video" in kind else kind


def test_the_first_bytes_of_other_formats() -> None:
    markup = {b"<svg": "SVG"}  # which the handler finds behind white space and a prologue, too
    agree(
        "the first bytes of formats that are named and refused",
        {
            OTHERS: {**{start: named(kind) for start, kind in other_formats.SIGNATURES.items()}, **markup},
            CLIENT: formats.OTHER_STARTS,
        },
    )


def test_the_brands_of_heif_avif_and_other_media_files() -> None:
    agree(
        "the brands of ISO media files",
        {OTHERS: {brand: named(kind) for brand, kind in other_formats.BRANDS.items()}, CLIENT: formats.BRANDS},
    )
    agree("the brands that say less than those behind them", {OTHERS: other_formats.GENERAL, CLIENT: formats.GENERAL})


@pytest.mark.parametrize("compatible", [(), (b"avif",), (b"heic", b"mif1"), (b"isom", b"mp42"), (b"miaf", b"avis")])
@pytest.mark.parametrize("major", [*other_formats.BRANDS, b"mp42", b"heif"])
def test_a_media_file_has_one_name_in_the_api_and_in_the_client(major: bytes, compatible: tuple[bytes, ...]) -> None:
    size = 16 + 4 * len(compatible)
    head = (size.to_bytes(4, "big") + b"ftyp" + major + bytes(4) + b"".join(compatible)).ljust(300, b"\0")

    with pytest.raises(ImageError) as refused:
        decode.read_header(head, 1000)

    server = named(str(refused.value).partition(" is not supported")[0])
    agree(f"what {head[:size]!r} is", {OTHERS: server, CLIENT: formats._other_kind(head[: formats.HEAD_BYTES])})


def test_the_builders_own_samples_are_of_formats_that_the_api_takes() -> None:
    suffixes = {suffix for known in TAKEN.values() for suffix in known.suffixes}
    assert set(own_samples.IMAGES) <= suffixes, f"layer/files/own_samples.py has a suffix that {SERVER} does not take"


def test_what_the_client_refuses_by_its_suffix_the_api_does_not_take() -> None:
    both = set(formats.OTHER_SUFFIXES.values()) & set(TAKEN)
    assert not both, f"{CLIENT} refuses {both}, which {SERVER} takes"
