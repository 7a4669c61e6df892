"""Each family, with random weights of its true architecture: from a hub into a bundle, offline through the handler.

Takes two hours on two cores (`ENGINES=onnx make models` runs one engine, `QUICK=1` two layers of each tower). What was
seen is kept in docs/coverage.* as it comes, and not run again until the code that exports and computes is another.
"""

import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.families import coverage
from tests.families.families import FAMILIES, OTHERS, Family
from tests.families.repositories import serve
from tests.hub.builder import Builder
from tests.hub.server import serving

ENGINES = os.environ.get("ENGINES", "torch onnx openvino").split()
QUICK = bool(os.environ.get("QUICK"))  # two layers a tower
KNOWN = coverage.read()["families"]
LEAST_SEEN_FIRST = sorted((*FAMILIES, *OTHERS), key=lambda family: len(KNOWN.get(family.name, {})))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("family", LEAST_SEEN_FIRST, ids=lambda family: family.name)
def test_a_family_loads_offline_on_every_engine_as_open_clip_does_or_says_why_not(
    family: Family, tmp_path: Path
) -> None:
    shrunk = bool(family.shrunk or family.tower or QUICK)
    seen = {engine: coverage.known(family.name, engine, shrunk) for engine in ENGINES}
    if missing := [engine for engine, result in seen.items() if result is None]:
        try:
            seen |= _run(family, missing, shrunk, tmp_path)
        finally:
            shutil.rmtree(tmp_path)  # gigabytes

    for engine, result in seen.items():
        assert result is not None
        assert coverage.holds(engine, result), (engine, result)


def _run(family: Family, engines: list[str], shrunk: bool, root: Path) -> dict[str, Any]:
    """Build the family's model for each engine from one hub, one cache; its export to ONNX is made once."""
    seen = {}
    with serving() as hub:
        spec, parameters = serve(hub, family, root / "hub", QUICK)
        builder = Builder(root / "work", hub)
        for engine in engines:
            seen[engine] = _build(builder, spec, engine)
            model = {"model": family.model, "shrunk": shrunk, "parameters": parameters}
            coverage.record(family.name, model, engine, seen[engine])
    return seen


def _build(builder: Builder, spec: str, engine: str) -> dict[str, Any]:
    start = time.monotonic()
    run = builder.run(f'[[model]]\n{spec}\nengine = "{engine}"\n', timeout=1800)
    if run.returncode:
        _, found, error = run.stderr.rpartition("error: ")
        return {"refused": re.sub(r"\s+", " ", error) if found else run.stderr[-500:]}
    [report] = builder.reports(engine)
    sizes = {path.name: path.stat().st_size for path in (builder.bundle / "models").rglob("*") if path.is_file()}
    [entry] = json.loads(builder.manifest)["models"]
    towers = ("text", "image") if "export" in entry else ()
    return {
        "token_ids_equal": report["token_ids_equal"],
        "text": round(report["min_text_cosine"], 6),
        "image": round(report["min_image_cosine"], 6),
        "bytes": sum(sizes.values()),
        "tokenizer_bytes": sum(size for name, size in sizes.items() if name.startswith(("tokenizer.", "vocabulary."))),
        "recipe": " / ".join(dict.fromkeys(entry["export"][tower]["recipe"] for tower in towers)),
        "seconds": round(time.monotonic() - start),
    }
