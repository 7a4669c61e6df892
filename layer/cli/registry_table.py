"""open_clip's registry as a table, of at most 100 letters a line."""

import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence

from console.counts import counted
from layer.cli import columns
from layer.registry import table

MB = 1_000_000
WIDTH = 100  # letters
DROPPED_FIRST = ("repositories", "torch fp32", "tokens", "dim", "fp32", "image", "fits")


def show_registry(listed: Sequence[table.Pair], licenses: Mapping[str, str] | None = None, wide: bool = False) -> None:
    """Print pairs of open_clip's registry, and their repositories' licenses."""
    header = ("name", "pretrained", "torch fp32", "fp32", "int8", "dim", "image", "tokens", "fits", "repositories")
    rows = [_registry_row(pair) for pair in listed]
    left_out = [] if wide else _too_wide(header, rows)
    kept = [column for column in range(len(header)) if header[column] not in left_out]
    columns.show([header[column] for column in kept], ([row[column] for column in kept] for row in rows))
    print(
        f"{counted(len(listed), 'pair')}. Sizes are of the weights, in MB: torch's checkpoint, then the fast engines'."
    )
    if left_out:
        print(textwrap.fill(f"Not shown (--wide and --json have all): {', '.join(left_out)}.", WIDTH))
    print("Licenses: --licenses asks the hub; a build notes them in models.lock and the manifest.")
    if misnamed := [pair for pair in listed if pair.advice]:
        print(f"(*) {len(misnamed)} would be computed with another activation than in training:")
        for pair in misnamed:
            print(textwrap.fill(str(pair.advice), WIDTH, initial_indent="  ", subsequent_indent="    "))
    if licenses is not None:
        print()
        columns.show(("repository", "license"), licenses.items())


def _registry_row(pair: table.Pair) -> tuple[str, ...]:
    return (
        pair.name,
        pair.pretrained + (" (*)" if pair.advice else ""),
        *(f"{pair.sizes[kind] / MB:.0f}" for kind in ("torch fp32", "fp32", "int8")),
        str(pair.embed_dim),
        f"{pair.image_size[1]}x{pair.image_size[0]}",
        str(pair.context_length),
        ", ".join(pair.fits) or "neither",
        ", ".join(dict.fromkeys((pair.weights or pair.url or "-", *pair.text))),
    )


def _too_wide(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Name the columns that there is no room for: in 100 letters, or fewer where the terminal has fewer."""
    room = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout and sys.stdout.isatty() else WIDTH)
    widths = {name: max(len(line[i]) for line in [header, *rows]) + 2 for i, name in enumerate(header)}
    dropped: list[str] = []
    for name in DROPPED_FIRST:
        if sum(widths.values()) - 2 <= room:
            break
        dropped.append(name)
        del widths[name]
    return dropped
