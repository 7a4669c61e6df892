"""Choose a short list of models for a user's needs, the best first, each with the reasons."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from layer.engines import fastest
from layer.registry import table
from layer.registry.cost import Cost, estimate
from layer.registry.published import Accuracy, accuracy, image_gflops, recall

LISTED = 5
CHEAPER = 0.9  # or it is the same cost
# What a text tower learned to read, by the repository of its tokenizer; every other one reads English.
MULTILINGUAL = {
    "xlm-roberta": "XLM-RoBERTa, about 100 languages",
    "facebook/xlm-v": "XLM-V, about 100 languages",
    "facebook/nllb": "NLLB, about 200 languages",
    "SigLIP-i18n": "SigLIP i18n, about 100 languages",
    "SigLIP2": "SigLIP 2, about 100 languages",
}


@dataclass(frozen=True)
class Need:
    """What is asked for. `dollars` are for a million images, `milliseconds` for one; accuracy is ImageNet's top-1."""

    languages: tuple[str, ...] = ("en",)
    dollars: float | None = None
    milliseconds: float | None = None
    accuracy: float | None = None
    package: str | None = None
    licenses: tuple[str, ...] = ()
    architecture: str = "x86_64"


@dataclass(frozen=True)
class Choice:
    """One model of the list. What is None is not published: accuracies, recall in the languages, operations."""

    pair: table.Pair
    accuracy: Accuracy | None
    recall: float | None
    cost: Cost | None
    license: str | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picked:
    """The list, the engine that it is for, and the names of other suitable models that are not in it."""

    choices: tuple[Choice, ...]
    engine: str
    unranked: tuple[str, ...]


def pick(need: Need, licenses: Callable[[Sequence[str]], dict[str, Any]]) -> Picked:
    """Return the suitable models for which no other suitable model is both cheaper and better.

    Better means a higher accuracy on ImageNet; for other languages than English, a higher recall in them, if it is
    published. If the list is not full, models without published figures follow, the smallest first, unless an accuracy
    or a cost is asked for. `licenses` asks the hub for licenses of repositories; it is called only for `need.licenses`.
    """
    engine = fastest(need.architecture, need.package or "image")
    every = [
        Choice(pair, accuracy(pair.name, pair.pretrained), _recall(pair, need), _cost(pair, engine))
        for pair in table.pairs(fits=need.package)
        if not pair.advice and pair.weights and _reads(pair, need.languages)
    ]
    by_recall = any(one.recall is not None for one in every)
    ranked = [one for one in every if _score(one, by_recall) and one.cost and _suits(need, one.accuracy, one.cost)]
    ranked.sort(key=lambda one: (-_score(one, by_recall), _dollars(one)))
    no_bound = (need.dollars, need.milliseconds, need.accuracy) == (None, None, None)
    rest = [one for one in every if not (_score(one, by_recall) and one.cost)] if no_bound else []
    rest.sort(key=lambda one: one.pair.sizes["int8"])
    if need.licenses:
        ranked = _licensed(need, ranked, licenses)
    best = _spread(_unbeaten(ranked), LISTED)
    if need.licenses:
        rest = _licensed(need, rest, licenses) if len(best) < LISTED else []
    chosen = [*best, *_different(rest)[: LISTED - len(best)]]
    left = dict.fromkeys(one.pair.name for one in rest if one not in chosen)
    choices = tuple(replace(one, reasons=tuple(_reasons(need, one, best, by_recall))) for one in chosen)
    return Picked(choices, engine, tuple(left))


def languages_of(pair: table.Pair) -> str | None:
    """Describe a multilingual text tower; None for an English one."""
    names = " ".join((pair.name, *pair.text))
    return next((about for mark, about in MULTILINGUAL.items() if mark in names), None)


def _reads(pair: table.Pair, languages: Sequence[str]) -> bool:
    return set(languages) <= {"en"} or languages_of(pair) is not None


def _recall(pair: table.Pair, need: Need) -> float | None:
    """Return the recall in the languages; None for English only, which is ranked by ImageNet: more models have that."""
    return None if set(need.languages) <= {"en"} else recall(pair.name, pair.pretrained, need.languages)


def _suits(need: Need, known: Accuracy | None, cost: Cost) -> bool:
    return (
        (need.dollars is None or cost.dollars <= need.dollars)
        and (need.milliseconds is None or cost.milliseconds <= need.milliseconds)
        and (need.accuracy is None or (known is not None and known.imagenet >= need.accuracy))
    )


def _cost(pair: table.Pair, engine: str) -> Cost | None:
    operations = image_gflops(pair.name)
    return estimate(operations, pair.sizes["int8"], engine) if operations else None


def _score(one: Choice, by_recall: bool) -> float:
    """Return the figure by which models are ranked; 0 if it is not published."""
    if by_recall:
        return one.recall or 0.0
    return one.accuracy.imagenet if one.accuracy else 0.0


def _dollars(one: Choice) -> float:
    return one.cost.dollars if one.cost else float("inf")


def _licensed(need: Need, listed: Sequence[Choice], ask: Callable[[Sequence[str]], dict[str, Any]]) -> list[Choice]:
    """Keep the models for which the hub states one of the licenses.

    It is asked for all of them: the cheap models of the list are far behind the most accurate ones.
    """
    repositories = list(dict.fromkeys(str(one.pair.weights) for one in listed))
    stated = {repository: str(license) for repository, license in ask(repositories).items()} if repositories else {}
    found = [replace(one, license=stated.get(str(one.pair.weights))) for one in listed]
    return [one for one in found if one.license and one.license.lower() in need.licenses]


def _unbeaten(ranked: Sequence[Choice]) -> list[Choice]:
    """Keep, of rows from the most accurate down, each that is cheaper by a tenth than all before it."""
    kept: list[Choice] = []
    for one in ranked:
        if not kept or _dollars(one) < CHEAPER * _dollars(kept[-1]):
            kept.append(one)
    return kept


def _spread(rows: Sequence[Choice], count: int) -> list[Choice]:
    """Return at most `count` rows, the first and the last among them."""
    if len(rows) <= count:
        return list(rows)
    return [rows[round(place * (len(rows) - 1) / (count - 1))] for place in range(count)]


def _different(rows: Sequence[Choice]) -> list[Choice]:
    """Keep one pair of each model: no published figure distinguishes the others."""
    return list({one.pair.name: one for one in reversed(rows)}.values())[::-1]


def _reasons(need: Need, one: Choice, best: Sequence[Choice], by_recall: bool) -> Iterator[str]:
    if one not in best:
        yield f"open_clip has published no {'recall in these languages' if by_recall else 'accuracy'} of it"
    elif one is best[0]:
        yield f"the best {'recall' if by_recall else 'accuracy'} that suits"
    else:
        points = (_score(best[0], by_recall) - _score(one, by_recall)) * 100
        yield f"{points:.1f} points below the first, at {_dollars(one) / _dollars(best[0]):.0%} of its cost"
    if len(best) > 1 and one is best[-1]:
        yield "the cheapest that nothing beats"
    about = languages_of(one.pair)
    yield f"text tower: {about}" if about else "reads English"
    yield "fits layers and images" if "layer" in one.pair.fits else 'needs package = "image"'
    if one.license:
        yield f"license {one.license}"
