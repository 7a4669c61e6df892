"""A list of names on standard input, as each system's tools write it."""

import io
import types

import pytest
from openclip_lambda.bulk.inputs import Inputs
from openclip_lambda.errors import InputError

NAMES = ["a b/één.jpg", "图片.png"]


def listed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> list[str]:
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BytesIO(data)))
    return [source.name for source in Inputs(["-"])]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_names_are_read_in_what_the_byte_order_mark_says(
    monkeypatch: pytest.MonkeyPatch, encoding: str, end: str
) -> None:
    """`find`, Notepad, and PowerShell's `>`, which writes UTF-16."""
    mark = "\ufeff" if encoding.endswith("e") else ""  # with `-le` and `-be` Python writes none
    text = mark + "".join(name + end for name in NAMES)

    assert listed(monkeypatch, text.encode(encoding)) == NAMES


def test_names_with_nul_between_them_may_have_any_other_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed(monkeypatch, b"a\nb.jpg\0c\xff.jpg\0") == ["a\nb.jpg", "c\udcff.jpg"]


def test_a_list_that_is_not_what_its_mark_says_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"the list on standard input is not UTF-16 \(.*save it as UTF-8"):
        listed(monkeypatch, b"\xff\xfea")
