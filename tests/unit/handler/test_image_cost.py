"""What images can cost a request: at most twice the CPU time of the costliest honest ones of the same size.

At a tenth of the limits, so that it takes seconds: what a file costs grows with its pixels and its bytes.
"""

from collections.abc import Callable

import pytest
from PIL import Image

from handler.settings import Settings
from tests.unit.costly_heif import COSTLY
from tests.unit.fake_bundle import FakeFunction, encoded
from tests.unit.honest_images import BYTES, HONEST, PIXELS, cost, photo, request_cost
from tests.unit.hostile_images import HOSTILE, Maker, narrow, scans, sides
from tests.unit.hostile_webp import slow_webp

pytestmark = pytest.mark.no_cover  # a tracer changes what code costs

SHARE = 10
ONE, BODY, REQUEST = PIXELS // SHARE, BYTES // SHARE, Settings().max_request_pixels // SHARE
EVERY: dict[str, Maker] = {**HOSTILE, **COSTLY}
MOST = 2  # times the costliest honest one: the costliest hostile ones take 1.5 times that
TRIES = 3  # of which the least counts: other processes only ever add


def least(data: bytes) -> float:
    return min(cost(data, ONE)[0] for _ in range(TRIES))


def hold(name: str, costs: Callable[[], tuple[float, str]], allowed: float, honest: Callable[[], float]) -> None:
    """Hold a cost to what is allowed; while others slow the machine down, to the honest cost beside it."""
    for _ in range(2 * TRIES):
        found, result = costs()
        if found <= allowed:
            return
        allowed = MOST * honest()
    raise AssertionError(f"{name}: {found:.2f} CPU seconds ({result}), {allowed:.2f} are allowed")


@pytest.fixture(scope="module")
def honest() -> list[bytes]:
    return [make(ONE, BODY) for make in HONEST.values()]


@pytest.fixture(scope="module")
def costliest(honest: list[bytes]) -> bytes:
    return max(honest, key=least)


@pytest.fixture(scope="module")
def allowed(costliest: bytes) -> float:
    return MOST * least(costliest)


def test_the_corpus_is_within_its_size_and_large_enough(honest: list[bytes]) -> None:
    assert len(HOSTILE) >= 40
    assert [cost(data, ONE)[1] for data in honest] == ["embedded"] * len(honest)


@pytest.mark.parametrize("name", EVERY)
def test_no_image_costs_more_than_twice_the_costliest_honest_one(name: str, allowed: float, costliest: bytes) -> None:
    data = EVERY[name](ONE, BODY)
    hold(name, lambda: cost(data, ONE), allowed, lambda: cost(costliest, ONE)[0])


def flat(share: float, mode: str, **options: object) -> Maker:
    """A JPEG of so many times the pixels of one image, all of one color: few bytes, and each block has to be read."""
    return lambda pixels, _: encoded(Image.new(mode, sides(int(pixels * share)), 90), "JPEG", **options)


LARGE: dict[str, Maker] = {
    "7.5 times, 3 colors": flat(7.5, "RGB", subsampling=0),
    "7.5 times, CMYK": flat(7.5, "CMYK"),
    "4.5 times, CMYK": flat(4.5, "CMYK"),
    "1.2 times, progressive": flat(1.2, "RGB", progressive=True),
    "1.2 times, progressive, 13 scans": scans(1.2, 13),
    "0.3 times, progressive, 90 scans": scans(0.3, 90),
    "all pixels, progressive CMYK": flat(1, "CMYK", progressive=True),
    "gray, no end": lambda pixels, _: encoded(Image.new("RGB", sides(7 * pixels), (128,) * 3), "JPEG")[:-2],
    "gray": flat(7.5, "L"),
    "a photo of twice the bytes": lambda pixels, _: encoded(photo(4 * pixels), "JPEG", quality=50),
}
REDUCED = {**{name: make for name, make in HOSTILE.items() if name.startswith("JPEG")}, **LARGE}


@pytest.mark.parametrize("name", REDUCED)
def test_no_jpeg_costs_more_at_a_reduced_scale(name: str, allowed: float, costliest: bytes) -> None:
    data = REDUCED[name](ONE, BODY)
    hold(name, lambda: cost(data, ONE, reduced=True), allowed, lambda: cost(costliest, ONE)[0])


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> FakeFunction:
    limits = {"max_image_pixels": ONE, "max_request_pixels": REQUEST, "threads": 2}
    return FakeFunction(tmp_path_factory.mktemp("cost") / "bundle", **limits)


@pytest.fixture(scope="module")
def honest_request(function: FakeFunction, honest: list[bytes]) -> tuple[float, bytes, int]:
    """The costliest request that is full of honest images: ten of the most pixels, or as many as count.

    Its CPU seconds, one of its images, and how many there are.
    """
    costs = []
    for one in honest:
        tries = ((*request_cost(function, one, times), times) for times in range(10, 0, -1))
        costs.append(next((seconds, one, times) for seconds, result, times in tries if result == "embedded"))
    return max(costs)


BATCHES: dict[str, tuple[Maker, int]] = {
    "8 of 100 scans": (scans(0.075, 1_340), 8),
    "10 of 16 scans": (scans(1, 16), 10),
    "256 narrow and tall": (narrow((1, 2_000), "RGBA"), 256),
    "256 narrow and wide": (narrow((2_000, 1), "RGB"), 256),
    "as many RGBA as count": (HOSTILE["PNG, RGBA, interlaced"], 6),
    "as many of 16 bits as count": (HOSTILE["PNG, 16-bit RGBA, interlaced"], 5),
    "as many white ones on nothing as count": (HOSTILE["PNG, white on nothing"], 6),
    "as many gray ones as count": (HOSTILE["JPEG, gray progressive"], 6),
    "15 of 65,536 Huffman groups": (HOSTILE["WebP, 65,536 Huffman groups"], 15),
    "256 lossless ones that are read slowly": (lambda pixels, _: slow_webp(*sides(pixels // 2)), 256),
    "256 of a cache of 2^15 colors": (HOSTILE["WebP, a cache of 2^15 colors"], 256),
    "256 of 500 segments": (lambda _, size: HOSTILE["JPEG, EXIF segments"](0, 5_500), 256),
    "256 of 100 scans": (scans(0.002, 100), 256),
}


@pytest.mark.parametrize("name", BATCHES)
def test_no_request_costs_more_than_twice_the_costliest_honest_one(
    name: str, function: FakeFunction, honest_request: tuple[float, bytes, int]
) -> None:
    make, times = BATCHES[name]
    one = make(ONE, BODY)
    seconds, image, many = honest_request
    full = lambda: request_cost(function, image, many)[0]  # noqa: E731
    hold(name, lambda: request_cost(function, one, times), MOST * seconds, full)
