"""A vocabulary that is mapped into memory gives open_clip's own token ids, for any text, at a bounded cost."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.engines.tokenizer import Tokenizer
from handler.engines.truncation import by_open_clip
from handler.errors import TextError
from layer.bundle import records
from layer.export.mapped_vocabulary import write_mapped
from layer.export.tokenizer import export_tokenizer
from layer.export.tokenizer_form import vocabulary_texts
from layer.openclip import open_clip
from tests.hub import repositories
from tests.hub import tokenizers as made
from tests.hub.builder import Builder
from tests.hub.server import serving
from tests.offline.hostile_texts import HONEST, filled, hostile
from tests.offline.test_text_cost import cost, ratio
from tests.offline.test_tokenizer import FRAGMENTS, HUB_TOKENIZERS, texts

ROOT = Path(__file__).parents[2]
T5, XLM_R, NLLB, GEMMA = ("Unigram (t5)", "Unigram (xlm-roberta)", "Unigram (nllb)", "sentencepiece BPE (gemma)")
TOKENS = {"additional_special_tokens": ["<red>", "<OBJ 1>"]}
CASES: list[tuple[str, dict[str, Any]]] = [
    (T5, {"context_length": 64, "clean": "canonicalize"}),  # SigLIP
    (GEMMA, {"context_length": 64, "clean": "canonicalize"}),  # SigLIP 2
    (GEMMA, {"context_length": 12, "clean": "whitespace", "truncation_side": "left", **TOKENS}),
    (XLM_R, {"context_length": 77, "clean": "whitespace", "tokenizer_mode": "clips"}),  # MetaCLIP 2
    (XLM_R, {"context_length": 24, "clean": "lower", "padding_side": "left", **TOKENS}),
    (NLLB, {"context_length": 48, "clean": "whitespace"}),
    (XLM_R, {"context_length": 16, "clean": "lower", "strip_sep_token": True, **TOKENS}),
    ("byte BPE (roberta)", {"context_length": 48, "clean": "whitespace", "add_prefix_space": True}),
    ("demo", {"context_length": 32, "clean": "whitespace"}),
    ("hand-made Unigram", {"context_length": 8, "clean": "whitespace"}),
]
every_kind = pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{kind} {options}" for kind, options in CASES])
PLACE = TemporaryDirectory()  # removed when Python ends: a tokenizer reads its files late


@cache
def trio(number: int) -> tuple[Any, Tokenizer, Tokenizer]:
    """open_clip's tokenizer, ours with its vocabulary mapped, and ours that the library reads whole."""
    kind, options = CASES[number]
    folder, out = Path(mkdtemp(dir=PLACE.name)), Path(mkdtemp(dir=PLACE.name))
    theirs = open_clip.tokenizer.HFTokenizer(str(HUB_TOKENIZERS[kind](folder)), **options)
    facts = records.Tokenizer(
        kind="hf",
        repo=kind,
        context_length=theirs.context_length,
        clean=options["clean"],
        strip_sep_token=options.get("strip_sep_token", False),
        mode=options.get("tokenizer_mode"),
        pad_id=theirs.tokenizer.pad_token_id,
    )
    exported = records.as_json(export_tokenizer(theirs, facts, out))
    assert "vocabulary" not in exported, "a small one is read whole"
    whole = Tokenizer(out / "tokenizer.json", exported)
    vocabulary = write_mapped(tokenizers.Tokenizer.from_file(str(out / "tokenizer.json")), out, least=0)
    assert vocabulary
    (out / "tokenizer.json").unlink()
    return theirs, Tokenizer(out / "tokenizer.json", exported | {"vocabulary": records.as_json(vocabulary)}), whole


@every_kind
def test_any_text_has_open_clips_own_token_ids(number: int) -> None:
    theirs, mapped, _ = trio(number)
    any_character = st.characters(exclude_categories=["Cs"])

    @settings(max_examples=200, database=None)
    @given(some=st.lists(st.one_of(texts, st.text(any_character, max_size=40)), min_size=1, max_size=4))
    def same(some: list[str]) -> None:
        assert mapped(some).tolist() == theirs(some).tolist()

    known = [*FRAGMENTS, *made.CORPUS, *HONEST.values(), *vocabulary_texts(theirs.tokenizer)]
    known += ["a <red> cat<OBJ 1><red>", "＜red＞ <unk> a<unk>b <0x41><0xE4> </s>x", "<", "", " ", "▁", "\ufdfa" * 3]
    assert mapped(known).tolist() == theirs(known).tolist()
    same()


@every_kind
def test_hostile_texts_have_the_ids_that_the_library_gives(number: int) -> None:
    _, mapped, whole = trio(number)
    for text in hostile(400):
        with suppress(TextError):  # of cleaning, which both have
            assert mapped([text]).tolist() == whole([text]).tolist(), text[:40]


@every_kind
def test_a_long_text_is_cut_or_refused_as_open_clips_own_tokenizer_would_be(number: int) -> None:
    theirs, mapped, whole = trio(number)
    facts = {"kind": "hf", "mode": CASES[number][1].get("tokenizer_mode")}
    long = [" ".join(made.CORPUS), "a red circle " * 40, "一个红色的圆形的照片" * 20]
    for tokenizer in (mapped, whole):
        for cut in ("start", "end"):
            found = tokenizer([*long, "a cat"], cut).tolist()
            assert found == by_open_clip(theirs, [*long, "a cat"], cut, facts).tolist(), (cut, tokenizer is mapped)
        for text in long:
            with pytest.raises(TextError, match=r"^it has \d+ tokens, and the model reads \d+ of a text"):
                tokenizer(["a", text], "none")


def test_several_threads_share_a_tokenizer() -> None:
    _, mapped, whole = trio(1)
    some = [*FRAGMENTS, *made.CORPUS]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: mapped([text]).tolist(), some * 5))
    assert found == [whole([text]).tolist() for text in some] * 5


@pytest.mark.parametrize("number", [0, 1], ids=["Unigram", "BPE"])
def test_a_text_costs_at_most_in_proportion_to_its_length(number: int) -> None:
    _, mapped, _ = trio(number)
    # Every place of it begins another text, as far as the longest piece reaches: nothing is looked up twice.
    varied = "".join(text for unit in made.CORPUS for text in (unit, unit[::-1], unit[::2], unit[1::2]))
    runs = "".join("▁" * length + unit for length, unit in enumerate(varied))

    def dearest(length: int) -> Callable[[], Any]:
        works = [partial(mapped, [filled(unit, length)]) for unit in (varied, runs)]
        return max(works, key=lambda work: cost(work, 3))

    assert ratio(dearest(10_000), dearest(1_000)) <= 15
    most = cost(dearest(10_000), 3)
    suspects = [text for text in hostile(10_000) if cost(partial(mapped, [text])) > 3 * most]
    assert [text[:30] for text in suspects if ratio(partial(mapped, [text]), dearest(10_000)) > 3] == []


# The peak of a process of its own, beside what its imports take, and its seconds of processor time.
READ = """
import json, sys, time
from pathlib import Path
from handler.engines import mapped_tokenizer
from handler.engines.tokenizer import Tokenizer
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
path, facts = Path(sys.argv[1]), json.load(open(sys.argv[2]))
before, start = peak(), time.process_time()
ids = Tokenizer(path, facts)(["a photo of a red circle", "w77 w99 一"]).tolist()
print(json.dumps([peak() - before, time.process_time() - start, ids]))
"""


def test_reading_250_000_pieces_takes_a_quarter_of_the_librarys_time_and_a_tenth_of_its_memory(tmp_path: Path) -> None:
    repositories.t5_tokenizer(tmp_path, 250_000)
    vocabulary = write_mapped(tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json")), tmp_path)
    facts = {"kind": "hf", "mode": None, "clean": "whitespace", "context_length": 16, "pad_id": 0}
    facts |= {"strip_sep_token": False, "padding_side": "right", "truncation_side": "right"}
    found: list[Any] = []
    for form in ({}, {"vocabulary": records.as_json(vocabulary)}):
        (tmp_path / "facts.json").write_text(json.dumps(facts | form))
        command = [sys.executable, "-c", READ, str(tmp_path / "tokenizer.json"), str(tmp_path / "facts.json")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
    (whole_memory, whole_seconds, whole), (memory, seconds, mapped) = found

    assert mapped == whole
    assert memory < whole_memory / 10, found
    assert seconds < whole_seconds / 4, found


def test_what_depends_on_more_than_the_pieces_of_a_text_is_not_mapped(tmp_path: Path) -> None:
    def bpe(**options: Any) -> tokenizers.Tokenizer:
        vocabulary = {"a": 0, "b": 1, "ab": 2, "##b": 3, "a</w>": 4}
        return tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, [("a", "b")], **options))

    assert write_mapped(bpe(), tmp_path / "none", least=6) is None, "too small"
    for options in ({"dropout": 0.5}, {"end_of_word_suffix": "</w>"}, {"unk_token": "<unk>"}):
        assert write_mapped(bpe(**options), tmp_path / "none", least=0) is None
    no_unknown = tokenizers.models.Unigram([("a", -1.0)], unk_id=None)
    assert write_mapped(tokenizers.Tokenizer(no_unknown), tmp_path / "none", least=0) is None
    words = tokenizers.models.WordLevel({"a": 0}, unk_token="a")
    assert write_mapped(tokenizers.Tokenizer(words), tmp_path / "none", least=0) is None
    assert not (tmp_path / "none").exists()


def test_the_texts_of_the_build_show_a_damaged_form(tmp_path: Path) -> None:
    theirs, mapped, _ = trio(0)
    backend = tokenizers.Tokenizer.from_str(theirs.tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    facts = {**mapped._settings, "vocabulary": records.as_json(write_mapped(backend, tmp_path, least=0))}
    known = vocabulary_texts(theirs.tokenizer)
    expected = theirs(known).tolist()
    assert Tokenizer(tmp_path / "tokenizer.json", facts)(known).tolist() == expected

    for name, damage in (("ids", lambda rows: np.where(rows == 300, 301, rows)), ("scores", lambda rows: -rows)):
        path = tmp_path / f"vocabulary.{name}.npy"
        before = np.load(path)
        np.save(path, damage(before))
        assert Tokenizer(tmp_path / "tokenizer.json", facts)(known).tolist() != expected, name
        np.save(path, before)


def test_a_build_ships_the_mapped_form_and_has_the_library_read_all_where_it_is_not_exact(tmp_path: Path) -> None:
    repositories.t5_tokenizer(tmp_path / "words", 100_001)
    text = {"vocab_size": 100_001, "context_length": 16, "hf_tokenizer_name": "acme/words", "pool_type": "last"}
    repositories.small_clip(tmp_path / "tiny", custom_text=True, tokenizer_kwargs={"clean": "canonicalize"}, **text)
    spec = '[[model]]\nname = "hf-hub:acme/tiny"\nengine = "onnx"\nprecision = "{}"\n'
    with serving() as hub:
        hub.add("acme/tiny", tmp_path / "tiny")
        hub.add("acme/words", tmp_path / "words")
        builder = Builder(tmp_path / "work", hub)
        run = builder.run(spec.format("int8"))
        assert run.returncode == 0, run.stderr
        [mapped] = json.loads(builder.manifest)["models"]
        shipped = {path.name for path in builder.bundle.glob("models/*/onnx/*")}

        [exported] = (tmp_path / "work" / "cache" / "exported").glob("*/*")
        scores = np.load(exported / "vocabulary.scores.npy")
        np.save(exported / "vocabulary.scores.npy", -scores)
        run = builder.run(spec.format("fp32"))
        assert run.returncode == 0, run.stderr
    [whole] = json.loads(builder.manifest)["models"]

    assert mapped["tokenizer"]["vocabulary"]["model"] == "Unigram"
    assert {"tokenizer.rules.json", "vocabulary.scores.npy", "tokenizer.json"} <= shipped
    assert "note: the mapped vocabulary of acme/tiny gives other token ids than open_clip's" in run.stderr
    assert "vocabulary" not in whole["tokenizer"]
    assert [path.name for path in builder.bundle.glob("models/*/onnx/[tv]o*")] == ["tokenizer.json"]
