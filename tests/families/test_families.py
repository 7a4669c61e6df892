"""Each family, with random weights of its true architecture: from a hub into a bundle, offline through the handler.

Takes two hours on two cores (`ENGINES=onnx make models` runs one engine, `QUICK=1` two layers of each tower).
docs/coverage.md says when it ran, and what came out.
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
from tests.families.families import BIOMEDCLIP, FAMILIES, Family
from tests.families.repositories import serve
from tests.hub.builder import Builder
from tests.hub.server import serving

ENGINES = os.environ.get("ENGINES", "torch onnx openvino").split()
QUICK = bool(os.environ.get("QUICK"))  # two layers a tower
LEAST = {"torch": 0.99999, "onnx": 0.999, "openvino": 0.999}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("family", [*FAMILIES, BIOMEDCLIP], ids=lambda family: family.name)
def test_a_family_loads_offline_on_every_engine_as_open_clip_does_or_says_why_not(
    family: Family, tmp_path: Path
) -> None:
    row: dict[str, Any] = {"model": family.model, "shrunk": bool(family.shrunk or family.tower or QUICK)}
    with serving() as hub:
        spec, row["parameters"] = serve(hub, family, tmp_path / "hub", QUICK)
        builder = Builder(tmp_path / "work", hub)
        for engine in ENGINES:
            row[engine] = _build(builder, spec, engine)
    shutil.rmtree(tmp_path / "work")
    shutil.rmtree(tmp_path / "hub")
    coverage.record(family.name, row)

    assert "refused" not in row.get("torch", {}), row
    for engine in ENGINES:
        if "refused" in row[engine]:
            assert 'set engine = "torch"' in row[engine]["refused"], row[engine]
        else:
            assert row[engine]["token_ids_equal"], row
            assert min(row[engine]["text"], row[engine]["image"]) >= LEAST[engine], row


def _build(builder: Builder, spec: str, engine: str) -> dict[str, Any]:
    start = time.monotonic()
    process = builder.start(f'[[model]]\n{spec}\nengine = "{engine}"\n')
    _, err = process.communicate(timeout=1800)
    if process.returncode:
        return {"refused": re.sub(r"\s+", " ", err[err.rindex("error: ") + 7 :]) if "error: " in err else err[-500:]}
    [place] = builder.root.glob("cache/built/*/*/report.json")
    [report] = json.loads(place.read_text())["models"]
    size = sum(path.stat().st_size for path in (builder.bundle / "models").rglob("*") if path.is_file())
    return {
        "token_ids_equal": report["token_ids_equal"],
        "text": round(report["min_text_cosine"], 6),
        "image": round(report["min_image_cosine"], 6),
        "bytes": size,
        "seconds": round(time.monotonic() - start),
    }
