"""A CLIP model on `torch` is served by a package without transformers, which nothing of it needs."""

import json
from pathlib import Path

from layer.bundle import manifest, sandbox
from layer.package import wheels
from tests.bounds import MIN_COSINE
from tests.hub.builder import Builder
from tests.hub.repositories import small_clip
from tests.hub.server import serving
from tests.offline.packaged import packaged


def test_a_model_of_open_clips_own_tokenizer_is_served_without_transformers(tmp_path: Path) -> None:
    with serving() as hub:
        hub.add("acme/tiny", small_clip(tmp_path / "clip"))
        builder = Builder(tmp_path / "work", hub)
        built = builder.run()
    assert built.returncode == 0, built.stderr
    models = manifest.read(builder.bundle).models
    tree = packaged(wheels.needed(models), tmp_path / "tree")
    assert not any((tree / name).exists() for name in ("transformers", "sentencepiece", "google"))

    paths = {"PYTHONPATH": f"{tree}:{sandbox.ROOT}"}
    run = sandbox.run(builder.bundle, ["-S", "-m", "handler.selfcheck"], paths)

    assert run.returncode == 0, run.stdout
    [report] = json.loads(run.stdout)["models"]
    assert report["token_ids_equal"]
    assert min(report["min_text_cosine"], report["min_image_cosine"]) >= MIN_COSINE["fp32"]
