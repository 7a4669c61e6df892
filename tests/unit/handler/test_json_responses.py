"""Responses of many vectors are written by another library: with the values that Python's own json has."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.endpoints.embeddings import floats
from handler.messages import MANY_VECTORS, encode_json

ROOT = Path(__file__).parents[3]
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.floats(width=32, allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | NUMBERS | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_every_value_is_the_one_that_json_writes(body: Any) -> None:
    assert json.loads(encode_json(body, MANY_VECTORS)) == json.loads(json.dumps(body))


def test_a_vector_keeps_every_bit() -> None:
    vectors = np.random.default_rng(0).standard_normal((32, 512)).astype(np.float32)
    written = encode_json([floats(vector) for vector in vectors], MANY_VECTORS)
    assert np.array_equal(np.array(json.loads(written), np.float32), vectors)
    assert len(written) < 1.01 * len(encode_json([floats(vector) for vector in vectors]))


def test_half_a_surrogate_pair_of_an_echoed_text_is_escaped() -> None:
    assert encode_json({"texts": ["\ud83d", "é"]}, MANY_VECTORS) == r'{"texts":["\ud83d","\u00e9"]}'


@pytest.mark.parametrize("vectors", [0, MANY_VECTORS])
def test_a_type_that_json_does_not_have_is_refused(vectors: int) -> None:
    with pytest.raises(TypeError, match="float32 is not JSON serializable"):
        encode_json([np.float32(1)], vectors)


@pytest.mark.parametrize("vectors", [MANY_VECTORS - 1, MANY_VECTORS])
def test_few_vectors_import_nothing(vectors: int) -> None:
    program = (
        f"import sys; from handler.messages import *; encode_json([0.5], {vectors}); print('orjson' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == str(vectors >= MANY_VECTORS)
