"""Long base64 is decoded by another library: with the bytes, and with the errors, of Python's own strict mode."""

import binascii
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.messages import LONG_BASE64, decode_base64

ROOT = Path(__file__).parents[3]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
LONG = ALPHABET * 1_250  # 80,000 characters, no padding
ENDS = st.sampled_from([*ALPHABET, "=", "==", "\n", " ", "-", "_", "\0", "é", "\ud800", "%", ""])


def python(text: str) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)


def outcome(decode: Callable[[str], bytes], text: str) -> bytes | str:
    try:
        return decode(text)
    except ValueError as error:
        return f"{type(error).__name__}: {error}"


@given(st.integers(0, len(LONG)), st.integers(0, 5), st.lists(ENDS, max_size=3), ENDS)
def test_every_change_has_the_outcome_of_pythons_strict_mode(place: int, cut: int, put: list[str], end: str) -> None:
    text = LONG[:place] + "".join(put) + LONG[place + cut :] + end
    assert outcome(decode_base64, text) == outcome(python, text)


@pytest.mark.parametrize(
    "end", ["QQ==", "QR==", "QUE=", "QUF=", "QQ=", "QQ", "Q===", "=", "====", "QQ==QQ==", "QQ==\n"]
)
def test_so_has_every_kind_of_end(end: str) -> None:
    text = LONG + end
    assert outcome(decode_base64, text) == outcome(python, text)


@pytest.mark.parametrize(("text", "imported"), [(LONG, True), (LONG[: LONG_BASE64 - 4], False)])
def test_a_short_text_imports_nothing(text: str, imported: bool) -> None:
    program = "import sys; from handler.messages import *; decode_base64(input()); print('pybase64' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, input=text, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == str(imported)
