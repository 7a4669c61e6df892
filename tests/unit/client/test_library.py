"""`from openclip_lambda import Client, AsyncClient`: numpy in, numpy out, errors that programs can branch on."""

import asyncio
import inspect
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import openclip_lambda
import pytest
from openclip_lambda import (
    AsyncClient,
    BusyError,
    Client,
    ClientError,
    CredentialsError,
    InputError,
    RequestError,
    ResponseError,
    ServerError,
)
from PIL import Image

from tests.unit.client.conftest import Recorder, Scripted
from tests.unit.fake_bundle import FakeFunction, image_bytes

# The stand-in engine counts a, b, c and d; of an image it gives the mean of red, green and blue, and 1.
ROOT_HALF: float = 0.5**0.5
RED: list[float] = [ROOT_HALF, 0.0, 0.0, ROOT_HALF]


def awaited(name: str, url: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    async def ask() -> Any:
        async with AsyncClient(url, **options) as client:
            return await getattr(client, name)(*arguments)

    return asyncio.run(ask())


def called(name: str, url: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    with Client(url, **options) as client:
        return getattr(client, name)(*arguments)


@pytest.fixture(params=[called, awaited], ids=["Client", "AsyncClient"])
def ask(request: pytest.FixtureRequest, url: str) -> Any:
    """Call a method of each client against the local server."""
    return lambda name, *arguments, **options: request.param(name, options.pop("at", url), arguments, options)


def test_texts_become_rows(ask: Any) -> None:
    found = ask("embed_texts", ["a", "ab", "d"])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.array([[1, 0, 0, 0], [ROOT_HALF, ROOT_HALF, 0, 0], [0, 0, 0, 1]]), atol=1e-6)
    assert ask("embed_texts", "a").shape == (1, 4)
    assert ask("embed_texts", []).size == 0


def test_every_form_of_an_image_becomes_a_row(ask: Any, tmp_path: Path) -> None:
    red = image_bytes((255, 0, 0))
    (tmp_path / "red.png").write_bytes(red)
    image = Image.open(io.BytesIO(red))
    array = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    found = ask("embed_images", [tmp_path / "red.png", str(tmp_path / "red.png"), red, bytearray(red), image, array])
    np.testing.assert_allclose(found, np.array([RED] * 6), atol=1e-6)
    gray = np.full((8, 8, 1), 255, np.uint8)
    np.testing.assert_allclose(ask("embed_images", gray), ask("embed_images", gray[:, :, 0]), atol=1e-6)
    np.testing.assert_allclose(ask("embed_images", memoryview(red)), [RED], atol=1e-6)
    np.testing.assert_allclose(ask("embed_images", array), [RED], atol=1e-6)


def test_a_damaged_image_of_pillow_s_is_named(ask: Any) -> None:
    Image.effect_noise((300, 300), 90).save(data := io.BytesIO(), "JPEG")
    with pytest.raises(InputError, match=r"images\[1\]: it is damaged: image file is truncated"):
        ask("embed_images", [image_bytes(), Image.open(io.BytesIO(data.getvalue()[:2000]))])


def test_labels_are_scored_and_cosines_computed(ask: Any) -> None:
    images = [image_bytes((255, 0, 0)), image_bytes((0, 255, 0))]
    scores = ask("classify", images, ["a", "b"], "{}")
    assert (scores.dtype, scores.shape) == (np.float32, (2, 2))
    # softmax(10 * [1/sqrt(2), 0]) by hand: the bundle's logit scale is 10
    np.testing.assert_allclose(scores, [[0.999151, 0.000849], [0.000849, 0.999151]], atol=1e-5)
    np.testing.assert_allclose(ask("classify", images, iter(["a", "b"]), "{}"), scores)
    assert ask("classify", images, "ab", "{}").tolist() == [[1], [1]]  # one label: softmax over one is 1
    cosines = ask("similarity", images, ["a", "b", "d"])
    np.testing.assert_allclose(cosines, [[ROOT_HALF, 0, ROOT_HALF], [0, ROOT_HALF, ROOT_HALF]], atol=1e-6)


def test_a_text_that_is_longer_than_the_model_reads_is_logged(ask: Any, caplog: pytest.LogCaptureFixture) -> None:
    ask("embed_texts", ["a" * 40, "b"])  # the model's context is of 16 letters
    assert [(one.name, one.levelname, one.getMessage()) for one in caplog.records if one.name == "openclip_lambda"] == [
        ("openclip_lambda", "WARNING", "1 text reached the model's context length: tokens beyond it were not read")
    ]


def test_what_is_there_is_told(ask: Any) -> None:
    assert [model["id"] for model in ask("models")] == ["tests/letters", "tests/other"]
    assert ask("health")["status"] == "ok"


def test_a_long_input_is_sent_in_requests_and_comes_back_in_order(ask: Any) -> None:
    texts = ["a" * (1 + number % 3) + "b" * (number % 5) for number in range(103)]
    found = ask("embed_texts", texts, batch=10, jobs=3)
    counts = np.array([[text.count("a"), text.count("b")] for text in texts], np.float32)
    np.testing.assert_allclose(found[:, :2], counts / np.linalg.norm(counts, axis=1, keepdims=True), atol=1e-6)
    assert len(Recorder.lengths) == 11


def test_a_refusal_has_code_and_param_and_counts_from_the_first_item(ask: Any) -> None:
    with pytest.raises(RequestError) as caught:
        ask("embed_images", [image_bytes()] * 5 + [b"\x89PNG\r\n\x1a\nbroken"], batch=2)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "truncated_image", "input[5]")
    with pytest.raises(RequestError) as caught:
        ask("embed_texts", ["a"], model="nobody/nothing")
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")


def test_an_image_that_cannot_be_sent_is_named_before_a_request(ask: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"images\[1\]: it cannot be read: No such file"):
        ask("embed_images", [image_bytes(), tmp_path / "nowhere.jpg"])
    for address in ("https://example.com/a.jpg", "HTTP://example.com/a.jpg?width=9"):
        with pytest.raises(InputError, match=r"images\[1\]: addresses are not fetched: download it"):
            ask("embed_images", [image_bytes(), address])
    for size in (30, 100_000):
        with pytest.raises(InputError, match=r"images\[0\]: it is a data URI: give the bytes that are in it"):
            ask("embed_images", "data:image/png;base64," + "A" * size)
    with pytest.raises(InputError, match=r"images\[0\]: an array has to be uint8"):
        ask("embed_images", np.zeros((8, 8, 3)))
    with pytest.raises(InputError, match=r"images\[0\]: an array has to be uint8 .*: this one is uint8 \[3, 8, 8\]"):
        ask("embed_images", np.zeros((3, 8, 8), np.uint8))  # as torch has it
    with pytest.raises(InputError, match=r"images\[0\]: it has no pixels"):
        ask("embed_images", np.zeros((0, 8, 3), np.uint8))
    with pytest.raises(InputError, match=r"images\[1\]: it is of the type int: give a path, bytes,"):
        ask("embed_images", [image_bytes(), 7])
    with pytest.raises(InputError, match="BytesIO is an open file: give its path, or what its read"):
        ask("embed_images", io.BytesIO(image_bytes()))  # a list of its lines, to Python
    assert Recorder.lengths == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, CredentialsError), (403, CredentialsError), (429, BusyError), (503, BusyError), (500, ServerError)],
)
def test_statuses_have_classes(ask: Any, scripted: Scripted, status: int, kind: type[ResponseError]) -> None:
    scripted.always(status, b'{"message": "no"}')
    with pytest.raises(kind) as caught:
        ask("embed_texts", ["a"], at=scripted.url)
    assert caught.value.status == status
    assert isinstance(caught.value, ClientError)


def test_the_api_key_is_the_arguments_or_the_environments_and_sigv4_signs(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("embed_texts", ["a"], api_key="secret")
    monkeypatch.setenv("OPENCLIP_API_KEY", "from-the-environment")
    ask("embed_texts", ["a"])
    assert Recorder.seen == ["Bearer secret", "Bearer from-the-environment"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    ask("embed_texts", ["a"], sigv4=True, region="eu-west-1")
    assert str(Recorder.seen[-1]).startswith("AWS4-HMAC-SHA256 Credential=AKIA/")


def test_images_are_turned_when_asked(ask: Any, function: FakeFunction, scripted: Scripted) -> None:
    scripted.answer = lambda path, body: (200, {}, json.dumps({"data": [{"embedding": [1.0]}]}).encode())
    ask("embed_images", image_bytes(), upright=True, at=scripted.url)
    assert json.loads(scripted.requests[0][3])["exif_orientation"] is True


def test_no_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(ClientError, match="give url, or set OPENCLIP_URL"):
            kind()
        with pytest.raises(ValueError, match="at least 1"):
            kind("localhost", batch=0)


def test_an_async_client_outlives_the_loop_that_it_was_used_in(url: str) -> None:
    """A script with several `asyncio.run`: a connection of a loop that has ended cannot be used, nor closed."""
    client = AsyncClient(url)
    for _ in range(3):
        assert asyncio.run(client.embed_texts("a")).shape == (1, 4)
    asyncio.run(client.close())
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(client.embed_texts("a"))


def test_both_clients_have_the_same_documented_methods() -> None:
    methods = {name: member for name, member in inspect.getmembers(Client, inspect.isfunction) if name[0] != "_"}
    for name, method in methods.items():
        twin = getattr(AsyncClient, name)
        assert inspect.signature(method).parameters == inspect.signature(twin).parameters
        assert method.__doc__
        assert twin.__doc__
        if name.startswith(("embed", "classify", "similarity")):
            assert "float32 [N, " in method.__doc__, name
    assert inspect.signature(Client).parameters == inspect.signature(AsyncClient).parameters
    assert {name for name in openclip_lambda.__all__ if not hasattr(openclip_lambda, name)} == set()
    assert (Path(openclip_lambda.__file__).parent / "py.typed").exists()


def test_a_bundle_that_changes_between_images_and_texts_is_told_and_not_compared(ask: Any, scripted: Scripted) -> None:
    """The vectors have one length, and their cosines mean nothing."""

    def answer(path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        manifest = {"x-openclip-manifest": ("a" if b"s3://" in body else "b") * 64}
        return 200, manifest, json.dumps({"data": [{"embedding": [1.0, 0.0]}], "model": "m"}).encode()

    scripted.answer = answer
    assert ask("embed_images", "s3://a/b", at=scripted.url).shape == ask("embed_texts", "a", at=scripted.url).shape
    with pytest.raises(ResponseError, match=r"now answers with the bundle .* cannot be compared"):
        ask("similarity", "s3://a/b", "a", at=scripted.url)


@pytest.mark.parametrize(("images", "texts"), [(0, 2), (1, 0), (0, 0)])
def test_nothing_to_compare_gives_no_cosines(ask: Any, images: int, texts: int) -> None:
    found = ask("similarity", [image_bytes()] * images, ["a"] * texts)
    assert (found.shape, found.dtype) == ((images, texts), np.float32)


def test_similarity_cancels_one_call_when_the_other_fails(scripted: Scripted, tmp_path: Path) -> None:
    async def compare() -> int:
        async with AsyncClient(scripted.url, batch=1, jobs=1) as client:
            with pytest.raises(InputError, match=r"images\[0\]"):
                await client.similarity(tmp_path / "nowhere.png", ["a"] * 50)
            sent = len(scripted.requests)
            await asyncio.sleep(0.3)
            return len(scripted.requests) - sent

    vectors = json.dumps({"data": [{"embedding": [1.0, 0.0]}], "model": "m"}).encode()
    scripted.always(200, vectors)
    assert asyncio.run(compare()) <= 1
