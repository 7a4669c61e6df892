"""The smaller formats as docs/api.md describes them, and more items than 256 where the setting allows them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.endpoints.quantize import quantized
from handler.schemas.limits import check_response_size, vector_bytes
from tests.unit.fake_bundle import FakeFunction

SIZES = (1, 2, 4, 63, 64, 512, 1152, 4096)


def unit(dimensions: int, count: int = 5) -> Any:
    drawn = np.random.default_rng(dimensions).standard_normal((count, dimensions)).astype(np.float32)
    drawn[0] = 0
    drawn[0, -1] = -1  # all of it in one dimension: the widest that there is
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.mark.parametrize("dimensions", SIZES)
def test_int8_is_the_documented_scale_and_uint8_128_more(dimensions: int) -> None:
    vectors = unit(dimensions)
    expected = [
        [max(-127, min(127, round(float(x) * 127 / min(1, 8 / dimensions**0.5)))) for x in row] for row in vectors
    ]
    assert np.abs(quantized(vectors, "int8").astype(int) - expected).max() <= 1  # at a half, by float32's last bit
    assert quantized(vectors, "int8").dtype == np.int8
    np.testing.assert_array_equal(quantized(vectors, "uint8").astype(int) - 128, quantized(vectors, "int8"))


@pytest.mark.parametrize("dimensions", SIZES)
def test_bits_are_packed_with_the_first_dimension_highest(dimensions: int) -> None:
    vectors = unit(dimensions)
    for row, packed in zip(vectors, quantized(vectors, "ubinary").tolist(), strict=True):
        text = "".join("1" if x > 0 else "0" for x in row).ljust(8 * len(packed), "0")
        assert packed == [int(text[start : start + 8], 2) for start in range(0, len(text), 8)]
    np.testing.assert_array_equal(quantized(vectors, "binary").astype(int) + 128, quantized(vectors, "ubinary"))


@pytest.mark.parametrize("dimensions", [64, 512, 1152])
def test_the_cosines_of_int8_are_those_of_the_vectors(dimensions: int) -> None:
    vectors = unit(dimensions, 200)[1:]
    small = quantized(vectors, "int8").astype(np.float64)
    small /= np.linalg.norm(small, axis=1, keepdims=True)
    assert np.abs(small @ small.T - vectors @ vectors.T).max() < 0.02


@pytest.mark.parametrize("kind", ["int8", "uint8", "binary", "ubinary"])
@pytest.mark.parametrize("dimensions", SIZES)
def test_no_vector_takes_more_of_a_response_than_is_counted(dimensions: int, kind: str) -> None:
    worst = np.full((1, dimensions), -(dimensions**-0.5), np.float32)
    for vectors in (worst, -worst, unit(dimensions)):
        for row in quantized(vectors, kind).tolist():
            assert len(json.dumps(row, separators=(",", ":"))) - 1 <= vector_bytes(dimensions, kind)


def test_a_thousand_items_are_one_request_where_the_setting_allows_them(tmp_path: Path) -> None:
    function = FakeFunction(tmp_path / "bundle", max_items=1_000)
    status, answer = function.post({"input": ["abcd"[number % 4] for number in range(1_000)]})
    assert (status, len(answer["data"])) == (200, 1_000)
    rows = np.array([row["embedding"] for row in answer["data"]])
    np.testing.assert_array_equal(rows, np.tile(np.eye(4), (250, 1)))
    refused, error = function.post({"input": ["a"] * 1_001})
    assert (refused, error["error"]["code"]) == (400, "too_many_items")
    assert "OPENCLIP_MAX_ITEMS raises that" in error["error"]["message"]


def test_2200_vectors_of_512_dimensions_fit_as_base64_and_710_as_float() -> None:
    check_response_size(2_200, 512, "base64")
    check_response_size(710, 512, "float")
