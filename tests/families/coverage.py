"""docs/coverage.md: what of the registry is planned, and what was seen of each family, written by the tests themselves.

docs/coverage.json holds the results; `python -m tests.families.coverage` renders them.
"""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from layer import manifest, registry
from layer.budget import shapes
from tests.families.families import BIOMEDCLIP, FAMILIES, Family, family_of

DOCS = Path(__file__).parents[2] / "docs"
RESULTS, PAGE = DOCS / "coverage.json", DOCS / "coverage.md"
ENGINES = ("torch", "onnx", "openvino")
INTRODUCTION = """# Coverage: every model of open_clip's registry

Written by the tests (`make models`; `tests/families`), last changed by a run on {date} with open_clip {open_clip},
torch {torch}, onnxruntime {onnxruntime} and openvino {openvino}. {pairs} of {pairs} pairs of the registry have a plan
of their sources, which `tests/offline/test_registry.py` holds to what open_clip itself asks for.

Each family is built from a hub with **random weights** of the architecture named, and served by the shipped handler in
a process without a network. The cosines are the lowest to open_clip's own embeddings, texts / images, over the golden
samples (`onnx` and `openvino` with 8-bit weights, which the build has held to 0.999 on more samples before). Random
weights show that a model loads, exports and computes the same; how exact 8 bits are on trained weights, the build of
the real model shows. (s): the config was shrunk, to two layers a tower where it says how many it has: because the
family's smallest member has over 400M parameters, or in a quick run (`QUICK=1 make models`). Layer: whether the 8-bit
model fits one beside the code of ONNX Runtime; a shrunk one is counted at its true size.

"""


def record(family: str, row: dict[str, Any]) -> None:
    """Keep a family's result, of the engines that were run, and render the page anew."""
    results = read()
    known = results["families"].get(family, {})
    if row["shrunk"] and known and not known["shrunk"]:
        return  # what was seen at the true size says more
    results["families"][family] = (known if known.get("shrunk") == row["shrunk"] else {}) | row
    results["date"] = datetime.now(UTC).strftime("%Y-%m-%d")
    results["versions"] = {name: manifest.installed(package) for name, package in manifest.LIBRARIES.items()}
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(render(results), encoding="utf-8")


def read() -> dict[str, Any]:
    """Read the results, empty where there are none yet."""
    if not RESULTS.exists():
        return {"families": {}, "date": "", "versions": {}}
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return results


def render(results: dict[str, Any]) -> str:
    """Return the page."""
    table = json.loads(registry.TABLE.read_text(encoding="utf-8"))
    pairs = Counter(family.name for row in table["pairs"] if (family := family_of(row["name"])))
    head = ("Family", "Pairs", "Built here", "Parameters", *ENGINES, "Layer")
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    refused = []
    for family in (*FAMILIES, BIOMEDCLIP):
        row = results["families"].get(family.name)
        if row is None:
            lines.append(f"| {family.name} | {pairs[family.name]} | not run | | | | | |")
            continue
        cells = [_cell(row.get(engine)) for engine in ENGINES]
        name = row["model"] + (" (s)" if row["shrunk"] else "")
        told = (family.name, str(pairs[family.name]), name, f"{row['parameters'] / 1e6:.0f}M", *cells)
        lines.append("| " + " | ".join((*told, _layer(family, row, table))) + " |")
        refused += [f"- {family.name}, {e}: {row[e]['refused']}" for e in ENGINES if "refused" in row.get(e, {})]
    start = INTRODUCTION.format(date=results["date"], pairs=len(table["pairs"]), **results["versions"])
    tail = "\nRefused, in the build's own words:\n\n" + "\n".join(refused) + "\n" if refused else ""
    return start + "\n".join(lines) + "\n" + tail


def _cell(result: dict[str, Any] | None) -> str:
    if result is None:
        return "not run"
    return "refused" if "refused" in result else f"{result['text']:.5f} / {result['image']:.5f}"


def _layer(family: Family, row: dict[str, Any], table: dict[str, Any]) -> str:
    if "bytes" not in row.get("onnx", {}):
        return "no"
    true = table["models"].get(family.model)
    if row["shrunk"] and not true:
        return "not known"  # of no registry: its true size was not seen
    size = true["bytes"]["int8"] if row["shrunk"] else row["onnx"]["bytes"]
    return f"{'yes' if 'layer' in shapes(size) else 'no'} ({size / 1e6:.0f} MB)"


if __name__ == "__main__":
    PAGE.write_text(render(read()), encoding="utf-8")
