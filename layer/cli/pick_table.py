"""The short list of a guided choice, as people read it: at most 100 letters a line."""

import textwrap

from layer.cli import columns
from layer.cli.registry_table import WIDTH
from layer.registry.pick import Choice, Need, Picked
from layer.registry.published import LANGUAGES_SOURCE, SOURCE, languages_measured

UNRANKED = 6
SHORT = 9  # letters of languages above a column


def show(need: Need, picked: Picked) -> None:
    """Print the list, the reasons under it, and what to write into models.toml."""
    by_recall = any(one.recall is not None for one in picked.choices)
    rows = [_row(number, one, by_recall) for number, one in enumerate(picked.choices, 1)]
    languages = "+".join(need.languages)
    second = (languages if len(languages) < SHORT else "recall") if by_recall else "38 sets"
    columns.show(("", "model", "ImageNet", second, "$/million", "ms", "MB, int8"), rows)
    for number, one in enumerate(picked.choices, 1):
        print(textwrap.fill("; ".join(one.reasons), WIDTH, initial_indent=f"{number}  ", subsequent_indent="   "))
    first = picked.choices[0]
    print(f'In models.toml: name = "{first.pair.name}", pretrained = "{first.pair.pretrained}"')
    print(f"ImageNet: zero-shot accuracy in fp32, from {SOURCE}.")
    if by_recall:
        print(f"{', '.join(need.languages)}: text-to-image recall@1 of Crossmodal-3600, their mean, from")
        print(f"{LANGUAGES_SOURCE}.")
    elif missing := sorted(set(need.languages) - languages_measured() - {"en"}):
        print(f"Recall in {', '.join(missing)} is not published there: ranked by ImageNet, in English.")
    print(f"$ and ms: of one image on {picked.engine}, int8, one vCPU; estimated from docs/benchmarks.md, not")
    print("measured on AWS. What 8 bits lose on your images: python -m layer evaluate.")
    if not need.licenses:
        print("Licenses: --license mit,apache-2.0 asks the hub, and keeps models with one of these.")
    if picked.unranked:
        more = len(picked.unranked) - UNRANKED
        said = f"{', '.join(picked.unranked[:UNRANKED])}{f' and {more} more' if more > 0 else ''}"
        print(textwrap.fill(f"Would suit too, but nothing is published to rank them by: {said}.", WIDTH))


def _row(number: int, one: Choice, by_recall: bool) -> tuple[str, ...]:
    second = one.recall if by_recall else one.accuracy and one.accuracy.average
    return (
        str(number),
        f"{one.pair.name}/{one.pair.pretrained}",
        f"{one.accuracy.imagenet:.1%}" if one.accuracy else "-",
        f"{second:.1%}" if second is not None else "-",
        f"{one.cost.dollars:.2f}" if one.cost else "-",
        f"{one.cost.milliseconds:.0f}" if one.cost else "-",
        f"{one.pair.sizes['int8'] / 1e6:,.0f}",
    )
