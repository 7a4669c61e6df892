"""Text files of a prepared source that have no hash: whole ones are taken, and what is no such file is not."""

from pathlib import Path

import pytest

from layer.sources.prepared import damage


@pytest.mark.parametrize(
    "first", ["<pad>", "<s>", "</s>", "<cls>", "<|endoftext|>", "<pad>\r", "<header>", "[PAD]", "<"]
)
def test_a_vocabulary_may_begin_with_a_special_token(tmp_path: Path, first: str) -> None:
    (tmp_path / "vocab.txt").write_text(f"{first}\n</s>\nred\n", encoding="utf-8")
    assert damage.unreadable(tmp_path / "vocab.txt") is None


@pytest.mark.parametrize(
    "page",
    [
        "<!DOCTYPE html><title>Sign in</title>",
        "\n <html lang='en'>",
        "<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        "<!-- moved --><html>",
        "<script>location = 'https://login.example'</script>",
        "<head><meta http-equiv=refresh content='0; url=https://login.example'></head>",
        "<body>\nSign in",
        "\ufeff<!DOCTYPE html>",
        "<div\nclass='login'>",
        "<p>Sign in</p>",
    ],
)
def test_a_web_page_is_no_vocabulary(tmp_path: Path, page: str) -> None:
    (tmp_path / "vocab.txt").write_text(page, encoding="utf-8")
    assert damage.unreadable(tmp_path / "vocab.txt") == "it is a web page"
