"""`python -m layer models`: what models.toml names, what open_clip's registry has, and a guided choice."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from console.counts import counted
from console.parser import Parser
from layer.cli import models_file, sources
from layer.cli.printer import printer
from layer.errors import RegistryError
from layer.spec import CHOICES, DEFAULT_SPEC

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from layer.registry.pick import Need

NEEDS = ("languages", "max_dollars", "max_ms", "min_accuracy", "license", "architecture")


def add(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
    models = commands.add_parser("models", help="list what models.toml names or open_clip's registry has; choose one")
    models.add_argument("--models", type=Path, default=DEFAULT_SPEC, help="models.toml (default: %(default)s)")
    models.add_argument("--all", action="store_true", help="every pair of open_clip's registry, with its sizes")
    models.add_argument("--family", help="the pairs whose name contains this, as in --family siglip2")
    models.add_argument("--fits", choices=CHOICES["package"], help="only pairs that fit this package shape")
    models.add_argument("--licenses", action="store_true", help="ask the hub for the licenses of the listed pairs")
    sources.add_option(models)
    models.add_argument("--wide", action="store_true", help="all columns, however wide; without it at most 100 letters")
    pick = models.add_argument_group("a guided choice")
    pick.add_argument("--pick", action="store_true", help="a short list for what you need, ranked, with the reasons")
    pick.add_argument("--languages", type=_languages, metavar="en,zh", help="that texts are in (default: en)")
    pick.add_argument("--max-dollars", type=_positive, metavar="N", help="for a million images")
    pick.add_argument("--max-ms", type=_positive, metavar="N", help="for one image, on one vCPU (1,769 MB)")
    pick.add_argument("--min-accuracy", type=_percent, metavar="PERCENT", help="zero-shot on ImageNet, as 70")
    pick.add_argument("--license", type=_words, metavar="mit,apache-2.0", help="one of these, as the hub states it")
    pick.add_argument("--architecture", choices=CHOICES["architecture"], help="of the function (default: x86_64)")
    models.set_defaults(run=_run)


def _words(text: str) -> tuple[str, ...]:
    words = tuple(word.strip().lower() for word in text.split(",") if word.strip())
    if not words:
        raise argparse.ArgumentTypeError("names nothing: give words with commas between them")
    return words


def _languages(text: str) -> tuple[str, ...]:
    words = _words(text)
    for word in words:
        if not (word.isascii() and word.partition("-")[0].isalpha() and len(word.partition("-")[0]) in (2, 3)):
            raise argparse.ArgumentTypeError(f"{word!r} is not the code of a language: give codes, as en,zh,de")
    return tuple(word.partition("-")[0] for word in words)


def _positive(text: str) -> float:
    try:
        number = float(text.removeprefix("$"))
    except ValueError:
        number = 0
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0: give one, as 2.5")
    return number


def _percent(text: str) -> float:
    number = _positive(text.removesuffix("%"))
    if number > 100:
        raise argparse.ArgumentTypeError(f"{text!r} is more than 100 percent")
    return number / 100 if number > 1 else number


def _run(options: argparse.Namespace) -> None:
    sources.check_endpoint()
    sources.of(options)  # a --from that is not there is wrong also where it is not needed
    show = printer(options)
    needs = [name for name in NEEDS if getattr(options, name) is not None]
    if options.pick or needs:
        _pick(options)
        return
    from layer.registry import table

    if options.all or options.family or options.fits or options.licenses:
        pairs = list(table.pairs(options.family or "", options.fits))
        if not pairs:
            raise RegistryError(table.no_pair(options.family or "", options.fits))
        stated = sources.licenses(table.repositories(pairs), options) if options.licenses else None
        show.show_registry(pairs, stated, options.wide)
    else:
        spec = models_file.read(options.models)
        show.show_spec(spec, sources.pinned(spec, options))


def _pick(options: argparse.Namespace) -> None:
    from layer.registry.pick import pick

    need = _need(options)
    unknown: dict[str, str] = {}

    def ask(repositories: "Sequence[str]") -> dict[str, str]:
        from layer.sources.licenses import UNKNOWN

        stated = sources.licenses(repositories, options)
        unknown.update({repo: said.removeprefix(UNKNOWN) for repo, said in stated.items() if said.startswith(UNKNOWN)})
        return stated

    picked = pick(need, ask)
    if unknown:
        _tell_unknown(unknown, bool(picked.choices))
    if not picked.choices:
        raise RegistryError(
            "no model is all of that, by what open_clip has published: ask for less, one option at a time "
            "(`python -m layer models --all` lists every model)"
        )
    printer(options).show_picked(need, picked)


def _tell_unknown(unknown: "Mapping[str, str]", some: bool) -> None:
    """Say that the hub did not answer for some repositories: their models may have the wanted license.

    Raises RegistryError where nothing is listed.
    """
    reason = next(iter(unknown.values()))
    told = f"the licenses of {counted(len(unknown), 'model')} are not known: {reason}"
    if not some:
        raise RegistryError(told)
    print(f"note: {told}", file=sys.stderr)


def _need(options: argparse.Namespace) -> "Need":
    from layer.registry.pick import Need

    return Need(
        options.languages or ("en",),
        options.max_dollars,
        options.max_ms,
        options.min_accuracy,
        options.fits,
        options.license or (),
        options.architecture or "x86_64",
    )
