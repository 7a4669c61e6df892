"""CLIP's own vocabulary, mapped into memory, gives open_clip's token ids, in a fraction of the library's time."""

import random
import string
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.engines import mapped_words
from handler.engines.tokenizer import Tokenizer
from layer.bundle import records
from layer.export import tokenizer_form
from layer.export.mapped_vocabulary import MIN_OF_WORDS
from layer.export.tokenizer import export_tokenizer
from layer.export.tokenizer_form import vocabulary_texts
from layer.openclip import open_clip
from tests.offline.hostile_texts import HONEST

FACTS = records.Tokenizer(
    kind="simple", repo=None, context_length=77, clean="lower", strip_sep_token=False, mode=None, pad_id=0
)
SPECIAL = ["<start_of_text> a <end_of_text>b", "<<start_of_text>>", "x<END_OF_TEXT>y", "</w> w</w>", "a</w>b", "", " "]
Facts = dict[str, Any]


@pytest.fixture(scope="module")
def theirs() -> Any:
    return open_clip.get_tokenizer("ViT-B-32")


@pytest.fixture
def exported(theirs: Any, tmp_path: Path) -> tuple[Path, Facts]:
    facts = records.as_json(export_tokenizer(theirs, FACTS, tmp_path))
    assert facts["longest_piece"] == max(map(len, theirs.encoder)) == 32
    return tmp_path / "tokenizer.json", facts


def test_any_text_has_open_clips_own_token_ids(
    theirs: Any, exported: tuple[Path, Facts], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces from all over the vocabulary, characters of any kind, and what looks like the ends of words."""
    monkeypatch.setattr(mapped_words.MappedWords, "most_new", sys.maxsize)
    mapped = Tokenizer(*exported)
    some = [*vocabulary_texts(theirs), *HONEST.values(), *SPECIAL, "a" * 3000, "日本語" * 50, "x!?" * 90]

    assert mapped(some).tolist() == theirs(some).tolist()
    assert mapped(some).tolist() == theirs(some).tolist(), "and again, of the words that were kept"


def test_a_word_is_kept_unless_it_is_long_and_there_is_an_end_to_it(
    exported: tuple[Path, Facts], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped_words, "MOST_KEPT", 50)
    path, facts = exported
    words = mapped_words.MappedWords(path.parent, facts["longest_piece"], facts["special_tokens"])
    whole = Tokenizer(path, {name: value for name, value in facts.items() if name != "longest_piece"})
    choose = random.Random(0)  # noqa: S311
    made = ["".join(choose.choices(string.ascii_lowercase, k=choose.choice([3, 9, 80]))) for _ in range(200)]

    for at in range(0, len(made), 20):
        text = " ".join(made[at : at + 20])
        assert words(text) == whole._own_ids(text)
        assert len(words._known) <= 50
        assert max(map(len, words._known)) <= mapped_words.LONGEST_KEPT
    assert words._known.keys() >= facts["special_tokens"].keys()


def test_new_words_cost_little_more_than_with_the_library_however_many_they_are(exported: tuple[Path, Facts]) -> None:
    path, facts = exported
    mapped = Tokenizer(path, facts)
    plain = Tokenizer(path, {name: value for name, value in facts.items() if name != "longest_piece"})
    choose, han = random.Random(1), [chr(code) for code in range(0x4E00, 0x9000)]  # noqa: S311

    def text(length: int, alphabet: Sequence[str]) -> str:
        return " ".join("".join(choose.choices(alphabet, k=length)) for _ in range(10_000 // (length + 1)))

    for length, alphabet in ((3, string.ascii_lowercase), (9_999, string.ascii_lowercase), (6, han), (100, han)):
        made = [text(length, alphabet) for _ in range(6)]
        assert mapped(made).tolist() == plain(made).tolist()
        made = [text(length, alphabet) for _ in range(6)]
        times = [(seconds(mapped, one), seconds(plain, one)) for one in made]
        assert min(mine for mine, _ in times) < 2 * min(theirs for _, theirs in times), (length, alphabet[:3])


def seconds(tokenizer: Tokenizer, text: str) -> float:
    start = time.process_time()
    tokenizer([text])
    return time.process_time() - start


def test_several_threads_share_a_tokenizer(
    theirs: Any, exported: tuple[Path, Facts], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped_words, "MOST_KEPT", 30)
    mapped, some = Tokenizer(*exported), list(HONEST.values()) * 5
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: mapped([text])[0].tolist(), some))
    assert found == theirs(some).tolist()


def test_reading_it_takes_a_quarter_of_the_librarys_time(exported: tuple[Path, Facts]) -> None:
    path, facts = exported
    plain = {name: value for name, value in facts.items() if name != "longest_piece"}

    def answered(settings: Facts) -> float:
        start = time.process_time()
        Tokenizer(path, settings)(["a photo of a cat on a windowsill"])
        return time.process_time() - start

    times = [(answered(facts), answered(plain)) for _ in range(5)]
    assert min(mine for mine, _ in times) < min(all_of_it for _, all_of_it in times) / 4


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("ids", lambda rows: np.where(rows == 320, 321, rows)),
        ("ranks", lambda rows: rows[::-1].copy()),
        ("lefts", lambda rows: np.maximum(rows - 1, 1)),
    ],
)
def test_the_texts_of_the_build_show_a_damaged_form(
    theirs: Any,
    exported: tuple[Path, Facts],
    name: str,
    damage: Callable[[Any], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, facts = exported
    array = path.parent / f"vocabulary.{name}.npy"
    np.save(array, damage(np.load(array)))
    monkeypatch.setattr(mapped_words.MappedWords, "most_new", sys.maxsize)  # as the gate has it
    known = vocabulary_texts(theirs)
    try:
        found = Tokenizer(path, facts)(known).tolist()
    except Exception as error:  # noqa: BLE001 - the library refuses merges of what is no piece
        found = [repr(error)]
    assert found != theirs(known).tolist()


def test_the_library_reads_all_of_a_form_that_is_not_exact(
    exported: tuple[Path, Facts], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, facts = exported
    nothing: dict[str, Any] = {field.name: None for field in fields(records.ExportedFacts)}
    known = records.ExportedFacts(**nothing | {"tokenizer": records.ExportedSimpleTokenizer(**facts)})
    folder = tmp_path / "bundle"
    tokenizer_form.write(path.parent, folder, known.tokenizer)
    assert (folder / "vocabulary.ranks.npy").is_file()

    whole = tokenizer_form.read_whole(known, "ViT-B-32/openai", path.parent, folder)

    assert "note: the mapped vocabulary of ViT-B-32/openai gives other token ids" in capsys.readouterr().err
    assert [file.name for file in folder.iterdir()] == ["tokenizer.json"]
    assert "longest_piece" not in records.as_json(whole.tokenizer)


def test_a_small_vocabulary_is_read_whole(tmp_path: Path, theirs: Any) -> None:
    small = open_clip.tokenizer.SimpleTokenizer()
    pieces = sorted(small.encoder, key=small.encoder.__getitem__)[: MIN_OF_WORDS - 3]
    small.encoder = {piece: small.encoder[piece] for piece in pieces}
    small.bpe_ranks = {pair: rank for pair, rank in small.bpe_ranks.items() if "".join(pair) in small.encoder}
    small.encoder |= {name: theirs.encoder[name] for name in ("<start_of_text>", "<end_of_text>")}

    facts = records.as_json(export_tokenizer(small, FACTS, tmp_path))

    assert len(small.encoder) == MIN_OF_WORDS - 1
    assert "longest_piece" not in facts
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]
