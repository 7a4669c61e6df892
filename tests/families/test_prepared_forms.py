"""Four prepared models in every form that they are brought in: built, verified and served without a network.

The demo model; ViT-B-32, ViT-B-16-SigLIP-i18n-256 and a CLIP with a RoBERTa text tower, true architectures with random
weights, 3.4 GB. The last takes its tokenizer and its text tower's config from two further repositories. Some minutes a
form on two cores: `make prepared`, `FORMS="git modelscope" make prepared`. A part of `make models`.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.families.families import FAMILIES, Family
from tests.families.repositories import serve, third_repository
from tests.hub import prepared
from tests.hub.builder import Builder
from tests.hub.repositories import demo_snapshot
from tests.hub.server import Hub, serving
from tests.offline.test_prepared_cache import cosines
from tests.offline.test_prepared_forms import state

MODELS = {
    "hf-hub:openclip-lambda/shapes-i18n": "",
    "ViT-B-32": "laion2b_s34b_b79k",
    "ViT-B-16-SigLIP-i18n-256": "webli",
    "hf-hub:acme/roberta-ViT-B-32": "",
}
SPEC = "".join(
    f'[[model]]\nname = "{name}"\nengine = "torch"\n' + (f'pretrained = "{tag}"\n' if tag else "")
    for name, tag in MODELS.items()
)
FORMS: dict[str, Callable[[Hub, Path], Path]] = {
    "open_clip": lambda hub, root: by_open_clip(hub, root / "model_cache"),
    "real files": lambda hub, root: prepared.with_real_files(by_open_clip(hub, root / "first"), root / "real"),
    "shared blobs": lambda hub, root: prepared.with_shared_blobs(by_open_clip(hub, root / "first"), root / "shared"),
    "snapshot_download": lambda hub, root: prepared.by_snapshot_download(hub, root / "snapshots"),
    "hf download": lambda hub, root: prepared.by_hf_download(hub, root / "downloads"),
    "local-dir": lambda hub, root: prepared.by_hf_download(hub, root / "local", local=True),
    "git": lambda hub, root: prepared.by_git(hub, root / "clones"),
    "modelscope": lambda hub, root: prepared.by_modelscope(hub, root / "modelscope"),
    "several": lambda hub, root: prepared.several(hub, root / "several"),
}
CHOSEN = [form for form in FORMS if not os.environ.get("FORMS") or form in os.environ["FORMS"].split()]


def by_open_clip(hub: Hub, cache: Path) -> Path:
    """One cache of all models; what open_clip leaves in the user's own cache is copied beside it."""
    for name, tag in MODELS.items():
        prepared.by_open_clip(hub, cache, name, tag)
    for repository in cache.with_name(f"{cache.name}-home").glob("hub/models--*"):
        shutil.copytree(repository, cache / repository.name, symlinks=True, dirs_exist_ok=True)
    return cache


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    root = tmp_path_factory.mktemp("hub")
    with serving() as hub:
        hub.add("openclip-lambda/shapes-i18n", demo_snapshot())
        for name in ("ViT-B-32", "ViT-B-16-SigLIP-i18n-256"):
            serve(hub, next(family for family in FAMILIES if family.model == name), root)
        third_repository(hub, root, Family("roberta", "", "roberta-ViT-B-32"))
        yield hub
    shutil.rmtree(root)  # gigabytes


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("form", CHOSEN)
def test_what_is_prepared_in_a_form_is_served_as_open_clip_embeds(hub: Hub, tmp_path: Path, form: str) -> None:
    source = FORMS[form](hub, tmp_path / "source")
    before = state(source)
    builder = Builder(tmp_path / "work", hub, offline=True, environ={"HF_HUB_OFFLINE": "1"})
    try:
        run = builder.run(SPEC, "--from", str(source), timeout=1500)

        assert run.returncode == 0, run.stderr
        found = list(cosines(builder))
        print(f"{form}: the lowest cosine is {min(found):.7f}")
        assert (len(found), min(found) >= 0.99999) == (2 * len(MODELS), True)
        entries = {model["id"]: model for model in json.loads(builder.manifest)["models"]}
        assert [one["repo"] for one in entries["acme/roberta-ViT-B-32"]["sources"]] == [
            "acme/roberta-ViT-B-32",
            "acme/words",
            "roberta-base",
        ]
        assert state(source) == before
    finally:
        shutil.rmtree(tmp_path)
