"""docs/coverage.md: what of the registry is planned, and what was seen of each family, written by the tests themselves.

docs/coverage.json holds the results; `python -m tests.families.coverage` renders them.
"""

import hashlib
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from layer.bundle import build_cache, manifest
from layer.engines import ENGINES as EXPORTED
from layer.registry import table
from layer.registry.lambda_limits import shapes
from layer.versions import installed
from tests import bounds
from tests.families.families import FAMILIES, OTHERS, Family, family_of

DOCS = Path(__file__).parents[2] / "docs"
RESULTS, PAGE = DOCS / "coverage.json", DOCS / "coverage.md"
ENGINES = ("torch", "onnx", "openvino")
# cosine to open_clip's embeddings
MIN_COSINE = {"torch": bounds.MIN_COSINE["fp32"], **dict.fromkeys(("onnx", "openvino"), bounds.MIN_COSINE["int8"])}
INTRODUCTION = """# Coverage: every model of open_clip's registry

Written by the tests (`make models`; `tests/families`). The last change was a run on {date} with open_clip
{open_clip}, torch {torch}, onnxruntime {onnxruntime} and openvino {openvino}. {pairs} of {pairs} pairs of the
registry have a plan of their sources; `tests/offline/test_registry.py` compares it with what open_clip itself asks
for. {seen} of {families} families were run on all three engines.

Each family is built from a hub with **random weights** of the named architecture. The shipped handler serves it in
a process without a network. The cosines are the lowest to open_clip's own embeddings over the golden samples, texts
/ images. `onnx` and `openvino` use 8 bits; the build has compared them on more samples, with 0.999 as the bound.
Without brackets, every tower has a scale for each token. Else brackets name the recipe of each tower, texts / images
([what they are](engines.md#what-the-build-does)); a number is the size of the blocks of weights. Random weights show
that a model loads, exports and computes the same. How exact 8 bits are on trained weights shows in the build of the
real model. (s): the config was shrunk, to two layers a tower if it names the number of layers. The reason is that the
smallest member of the family has over 400M parameters, or that it was a quick run (`QUICK=1 make models`). Layer:
whether the 8-bit model fits into a layer beside the code of ONNX Runtime; a shrunk model counts with its true size.

"""


def known(family: str, engine: str, shrunk: bool) -> dict[str, Any] | None:
    """Return what an earlier run saw of a family on an engine; None where the code or a library is another by now."""
    row = read()["families"].get(family, {})
    result: dict[str, Any] | None = row.get(engine)
    if result is None or row["shrunk"] > shrunk or result.get("made_by") != made_by():
        return None
    return result


def made_by() -> str:
    """Return a digest of what a result depends on: the code that exports and computes, and the libraries."""
    versions = json.dumps({name: installed(package) for name, package in manifest.LIBRARIES.items()})
    return hashlib.sha256(f"{build_cache.code_digest()} {versions}".encode()).hexdigest()[:12]


def holds(engine: str, result: dict[str, Any]) -> bool:
    """Tell whether a result is what was promised: exact enough, or, of a fast engine, a refusal that names the fix."""
    if "refused" in result:
        return engine != "torch" and 'engine = "torch"' in result["refused"]
    return bool(result["token_ids_equal"]) and min(result["text"], result["image"]) >= MIN_COSINE[engine]


def record(family: str, model: dict[str, Any], engine: str, result: dict[str, Any]) -> None:
    """Keep what was seen of a family's model on one engine, and render the page anew."""
    results = read()
    row = results["families"].get(family, {})
    if row and model["shrunk"] and not row["shrunk"]:
        return  # what was seen at the true size says more
    row = (row if row.get("shrunk") == model["shrunk"] else {}) | model
    results["families"][family] = row | {engine: result | {"made_by": made_by()}}
    results["date"] = datetime.now(UTC).strftime("%Y-%m-%d")
    results["versions"] = {name: installed(package) for name, package in manifest.LIBRARIES.items()}
    for path, text in ((RESULTS, json.dumps(results, indent=1, ensure_ascii=False) + "\n"), (PAGE, render(results))):
        aside = path.with_suffix(".new")
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)  # a run that is killed leaves whole files


def read() -> dict[str, Any]:
    """Read the results, empty where there are none yet."""
    if not RESULTS.exists():
        return {"families": {}, "date": "", "versions": {}}
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return results


def render(results: dict[str, Any]) -> str:
    """Return the page."""
    registry = json.loads(table.TABLE.read_text(encoding="utf-8"))
    pairs = Counter(family.name for row in registry["pairs"] if (family := family_of(row["name"])))
    head = ("Family", "Pairs", "Built here", "Parameters", *ENGINES, "Layer")
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    refused = []
    for family in (*FAMILIES, *OTHERS):
        row = results["families"].get(family.name)
        if row is None:
            lines.append(f"| {family.name} | {pairs[family.name]} | not run | | | | | |")
            continue
        cells = [_cell(engine, row.get(engine)) for engine in ENGINES]
        name = row["model"] + (" (s)" if row["shrunk"] else "")
        shown = (family.name, str(pairs[family.name]), name, f"{row['parameters'] / 1e6:.0f}M", *cells)
        lines.append("| " + " | ".join((*shown, _layer(family, row, registry))) + " |")
        refused += [f"- {family.name}, {e}: {row[e]['refused']}" for e in ENGINES if "refused" in row.get(e, {})]
    seen = sum(all(engine in row for engine in ENGINES) for row in results["families"].values())
    told = {"pairs": len(registry["pairs"]), "seen": seen, "families": len(FAMILIES) + len(OTHERS)}
    start = INTRODUCTION.format(date=results["date"], **told, **results["versions"])
    tail = "\nRefused, in the build's own words:\n\n" + "\n".join(refused) + "\n" if refused else ""
    return start + "\n".join(lines) + "\n" + tail


def _cell(engine: str, result: dict[str, Any] | None) -> str:
    if result is None:
        return "not run"
    if "refused" in result:
        return "refused"
    cosines = f"{result['text']:.5f} / {result['image']:.5f}"
    if not result.get("recipe"):  # torch
        return cosines
    recipes = EXPORTED[engine].recipes["int8"]
    per_token = {
        recipe.name: "static" if recipe.static_noise else "per token" for recipe in recipes if recipe.per_token
    }
    blocks = {recipe.name: str(recipe.block) for recipe in recipes} | per_token
    if rows := EXPORTED[engine].causal_text:
        blocks[rows.name] = "rows"
    taken = [blocks[name] for name in result["recipe"].split(" / ")]
    return cosines if taken == ["per token"] else f"{cosines} ({' / '.join(taken)})"


def _layer(family: Family, row: dict[str, Any], table: dict[str, Any]) -> str:
    if "onnx" not in row:
        return "not known"
    if "refused" in row["onnx"]:
        return "no"
    true = table["models"].get(family.model)
    if row["shrunk"] and not true:
        return "not known"  # of no registry: its true size was not seen
    size = true["bytes"]["int8"] + true["tokenizer"] if row["shrunk"] else row["onnx"]["bytes"]
    return f"{'yes' if 'layer' in shapes(size) else 'no'} ({size / 1e6:.0f} MB)"


if __name__ == "__main__":
    PAGE.write_text(render(read()), encoding="utf-8")
