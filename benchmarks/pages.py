"""Parts of the pages that benchmarks write: the machine, the command, tables in Markdown, and the writing of files."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from console.counts import counted


def machine() -> str:
    """Name the processor, what it offers, and how many of it there are."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    facts = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    offers = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "amx_int8") if flag in facts.get("flags", "").split()]
    name = facts.get("model name", platform.processor() or platform.machine())
    return f"{name} ({', '.join(offers) or 'no vector extensions named'}), {counted(os.cpu_count() or 1, 'core')}"


def command(arguments: Sequence[str]) -> str:
    """Return the command of a run, without the folders of the machine that it ran on."""
    folders = {at + more for at, name in enumerate(arguments) if name in ("--place", "--output") for more in (0, 1)}
    return " ".join(["python -m benchmarks", *(name for at, name in enumerate(arguments) if at not in folders)])


def markdown_table(rows: Sequence[Sequence[str]], numbers: bool = False) -> str:
    """Return rows of cells as a table, the first as its head. With `numbers`, all columns but the first align right."""
    rule = ["---", *["--:" if numbers else "---"] * (len(rows[0]) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))


def replace_file(path: Path, content: bytes) -> None:
    """Write a file aside, and rename it over the one that was there."""
    aside = path.with_name(f".{path.name}")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
