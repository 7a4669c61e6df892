"""open_clip's registry as a table: every pair with its sizes, and the package shapes that it fits."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from console.suggest import did_you_mean
from layer.naming import addresses
from layer.naming.model_names import TABLE as TABLE
from layer.registry.lambda_limits import shapes
from layer.versions import installed


@dataclass(frozen=True)
class Pair:
    """One (name, pretrained) of the registry. `sizes` are bytes of weights: "torch fp32", "fp32", "int8"."""

    name: str
    pretrained: str
    weights: str | None  # the hub's repository
    text: tuple[str, ...]  # repositories of tokenizer and text-tower config, where they are not built in
    url: str | None
    advice: str | None
    parameters: int
    sizes: dict[str, int]
    tokenizer: int  # bytes beside the weights of a fast engine, at most
    embed_dim: int
    image_size: tuple[int, int]
    context_length: int

    @property
    def fits(self) -> list[str]:
        """Name the package shapes with room for the model at 8 bits, the smallest that it comes in."""
        return shapes(self.sizes["int8"] + self.tokenizer)


def repositories(listed: Iterable[Pair]) -> list[str]:
    """Return the repositories that pairs take, each once."""
    return list(dict.fromkeys(repo for pair in listed for repo in (pair.weights, *pair.text) if repo))


def pairs(family: str = "", fits: str | None = None) -> Iterator[Pair]:
    """Yield the pairs whose name or repository contains `family`, any case, and that fit the package shape."""
    table = _table(family)
    for row in table["pairs"]:
        if not _matches(row, family):
            continue
        facts = table["models"][row["name"]]
        pair = Pair(
            **{**row, "text": tuple(row["text"])},
            parameters=sum(facts["parameters"].values()),
            sizes=facts["bytes"],
            tokenizer=facts["tokenizer"],
            embed_dim=facts["embed_dim"],
            image_size=(facts["image_size"][0], facts["image_size"][1]),
            context_length=facts["context_length"],
        )
        if fits is None or fits in pair.fits:
            yield pair


def no_pair(family: str, fits: str | None) -> str:
    """Return the message for a question that no pair answers, with what to ask instead."""
    if fits and any(pairs(family)):
        return f"no pair of {family} fits a {fits}: ask without --fits"
    family = addresses.plain(family)
    if "/" in family:
        repository = family.removeprefix("hf-hub:")
        return (
            f"{family!r} is not a repository of open_clip's registry, which --family looks through: to build from it "
            f'write name = "hf-hub:{repository}" in models.toml'
        )
    table = _table(family)
    words = sorted({part.lower() for name in table["models"] for part in name.split("-") if len(part) > 3})
    hint = did_you_mean(family, [*words, *table["models"]]) or did_you_mean(
        family, {row["pretrained"] for row in table["pairs"]}
    )
    return f"no pair of open_clip's registry has a name with {family!r}{hint} (--all lists every pair)"


def _matches(row: Mapping[str, Any], family: str) -> bool:
    wanted = addresses.plain(family).lower().removeprefix("hf-hub:")
    return wanted in row["name"].lower() or ("/" in wanted and wanted in str(row["weights"]).lower())


def weights_repository(name: str, pretrained: str | None) -> str | None:
    """Return the hub's repository of a pair's weights; None where the pair has none, or is not in the registry."""
    return next((pair.weights for pair in pairs(name) if (pair.name, pair.pretrained) == (name, pretrained)), None)


def text_repositories(weights: str) -> tuple[str, ...]:
    """Return the text repositories of the pair with these weights; none if the registry has no such pair."""
    return next((pair.text for pair in pairs() if pair.weights == weights), ())


def of_pair(name: str, pretrained: str | None) -> dict[str, Any] | None:
    """Return the row of a model if the registry has this pair, else None."""
    table = _table(name)
    there = any((row["name"], row["pretrained"]) == (name, pretrained) for row in table["pairs"])
    return table["models"].get(name) if there else None


def known(name: str) -> dict[str, Any] | None:
    """Return a model's row, as `parameter_count.count` makes it; None for a model not in the registry."""
    row: dict[str, Any] | None = _table(name)["models"].get(name)
    return row


def _table(family: str) -> dict[str, Any]:
    """Read the table of the pinned open_clip. If another version is installed, count the models of its registry."""
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    if installed("open_clip_torch") == table["open_clip"]:
        return table
    from layer.registry import parameter_count  # late: torch, and a fifth of a second a model

    found = parameter_count.pairs()
    names = {row["name"] for row in found if _matches(row, family)}
    return {"pairs": found, "models": {name: parameter_count.count(name) for name in sorted(names)}}
