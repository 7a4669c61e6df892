"""Cleaning that costs too much is refused before it is done; what open_clip makes of the rest: tests/offline."""

import html
import re

import ftfy
import pytest

from handler.engines import text_cleaning
from handler.engines.text_cleaning import MARKS, one_request, whitespace
from handler.errors import TextError


@pytest.mark.parametrize(
    "text",
    [
        "&" + "amp;" * 2_000,
        "é&" + "#38;" * 2_000,
        "a" + "\u0301\u0316" * 65,
        "Ì\x81Ì\x96" * 65,  # mojibake of marks
        "ﷺ" * 500,
        "\U0001d15e" * 500,
        "&#" + "1" * 4_301,
        "Ãœ\x81" * 3_000,
    ],
)
def test_what_takes_too_long_to_clean_is_refused_by_name(text: str) -> None:
    with pytest.raises(TextError) as caught:
        whitespace(text)
    assert (caught.value.code, caught.value.status, caught.value.text) == ("text_too_complex", 400, text)


@pytest.mark.parametrize(
    "text",
    [
        *("Tom &amp;amp; Jerry", "&" + "amp;" * 20, "&notit;", "<b>&amp;amp;</b>\n&lt;", "one &amp;\n<br>\n&amp;"),
        *("schÃ¶n â€™", "Ã la carte\nÃ la", "“quoted”\r\n", "ﷺ", "\x1b[31mred", "ＡＢＣ\u2028é"),
        *("a\u0301" * 200, "a" + "\u0301" * MARKS),
        *("Ã\xa0 la plage, en Ã©tÃ©\n" * 80, "Ñ\x81Ñ‚Ð¾Ð»\n" * 9, "√©t√© √† la plage, avec les enfants\n" * 50),
        "&amp; Ã©tÃ©\n" * 90,
    ],
)
def test_the_rest_is_cleaned_as_ftfy_and_html_do_it(text: str) -> None:
    assert whitespace(text) == " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split())


def test_a_chain_that_is_refused_at_sight_would_have_been_refused_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(text: str) -> bool:
        try:
            whitespace(text)
        except TextError:
            return True
        return False

    texts = [
        f"{head}&{link * links}{tail}&{link * 3}"
        for head in ("", "é", "Ã© ", "x" * 50)
        for link in ("amp;", "#38;", "#X26;", "#0038;AMP;")
        for links in range(1, 90, 4)
        for tail in ("", " ", "lt; é", "y" * 90)
    ]
    at_sight = [refused(text) for text in texts]
    monkeypatch.setattr(text_cleaning, "_CHAIN", re.compile("(?!)"))
    assert at_sight == [refused(text) for text in texts]
    assert set(at_sight) == {True, False}


def test_the_texts_of_a_request_have_one_budget() -> None:
    texts = ["é&" + "amp;" * 20] * 100
    for text in texts:
        whitespace(text)  # each a request of its own
    with one_request(), pytest.raises(TextError):
        [whitespace(text) for text in texts]


def test_ftfy_is_the_version_whose_steps_are_counted() -> None:
    from handler.engines import counted_ftfy

    assert ftfy._fix_encoding_one_step_and_explain is counted_ftfy._counted_step
    steps: list[int] = []
    with counted_ftfy.counted(steps.append):
        assert ftfy.fix_text("schÃ¶n") == "schön"
    assert steps[0] == len("schÃ¶n") + counted_ftfy.TRY


def test_many_short_texts_with_accents_or_stray_bytes_are_one_honest_request() -> None:
    words = ["fête", "naïve", "Übergröße", "Ã©tÃ©", "“quoted”", "café &amp; crème", "\x86\x9f\x8d}!Ip´+", "\x9fÂ©"]

    with one_request():
        found = [whitespace(word) for word in words * 32]

    assert found == [" ".join(html.unescape(html.unescape(ftfy.fix_text(word))).split()) for word in words] * 32
