"""The table of docs/model-sizes.md: what open_clip's models take, and which package shapes have room for them.

`python -m layer.registry.sizes_page` writes it anew.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from console.parser import Parser
from console.run import run
from layer.engines import ENGINES
from layer.errors import BuildError
from layer.registry import lambda_limits, table

MB = 1_000_000
PAGE = Path(__file__).parents[2] / "docs" / "model-sizes.md"


def page() -> str:
    """Return the page as Markdown, one row for each model that has published weights, the smallest first."""
    pairs = {pair.name: pair for pair in table.pairs()}
    rows = sorted(pairs.values(), key=lambda pair: (pair.sizes["int8"], pair.name))
    return "\n".join([*_head(), *(_row(pair) for pair in rows)]) + "\n"


def _head() -> Iterator[str]:
    yield "# Which models fit what"
    yield ""
    yield "Written by `python -m layer.registry.sizes_page`, not by hand. MB (1,000,000 bytes) of weights, counted from"
    yield "each architecture; a tokenizer comes on top: 4 MB for open_clip's own, more for a larger vocabulary."
    code = ", ".join(f"{name} {engine.code_bytes / MB:.0f} MB" for name, engine in ENGINES.items())
    yield f"Code beside it, bytecode included: {code}."
    yield ""
    layer = lambda_limits.room("layer", ["onnx"]) / MB
    yield f"A layer has room for {layer:.0f} MB of models on ONNX Runtime, an image for several GB."
    yield "`python -m layer inspect --models` says it of a `models.toml`, `python -m layer models --fits layer` lists"
    yield "pairs with their tags."
    yield ""
    yield "| model | parameters | 8-bit | fp32 | images | layer, 8-bit | image, 8-bit |"
    yield "|---|--:|--:|--:|--:|---|---|"


def _row(pair: table.Pair) -> str:
    fits = ("yes" if shape in pair.fits else "no" for shape in lambda_limits.SHAPES)
    sizes = f"{pair.sizes['int8'] / MB:,.0f} | {pair.sizes['fp32'] / MB:,.0f}"
    height, width = pair.image_size
    return f"| {pair.name} | {pair.parameters / MB:,.0f} M | {sizes} | {width}x{height} | {' | '.join(fits)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page; returns the exit status."""
    return run(lambda: _command(arguments), (BuildError,))


def _command(arguments: Sequence[str] | None) -> None:
    Parser(prog="python -m layer.registry.sizes_page", description=__doc__).parse_args(arguments)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
