"""The models that are measured: true architectures with random weights, built into bundles by the real command."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ROOT
from benchmarks.errors import BenchmarkError
from layer.bundle.build_cache import code_digest
from tests.hub import repositories
from tests.hub.server import serving

CODE = "code.sha256"  # beside a bundle: a start and a tower of older code were measured as if they were today's


@dataclass(frozen=True)
class Model:
    """A registry pair, the repository that it comes from, and the size of its tokenizer (None: open_clip's own)."""

    name: str
    tag: str
    repository: str
    vocabulary: int | None

    @property
    def hub(self) -> str:
        """Where the torch bundle keeps the cache that the plain recipe loads from too."""
        return f"models/{self.name}--{self.tag}/hub"


MODELS = (
    Model("ViT-B-32", "laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", None),
    Model("ViT-B-16-SigLIP-i18n-256", "webli", "timm/ViT-B-16-SigLIP-i18n-256", 250_000),
)


def bundles(model: Model, engines: list[tuple[str, str]], place: Path) -> dict[tuple[str, str], Path]:
    """Return a bundle for each engine and precision, building those that `place` lacks, or has of other code."""
    found = {engine: place / model.name / "-".join(engine) / "bundle" for engine in engines}
    code = code_digest()
    if missing := [engine for engine, bundle in found.items() if _code_of(bundle) != code]:
        repository = place / model.name / "repository"
        shutil.rmtree(repository, ignore_errors=True)
        repositories.random_weights(repository, model.name)
        if model.vocabulary:
            repositories.t5_tokenizer(repository, model.vocabulary)
        with serving() as hub:
            hub.add(model.repository, repository)
            for engine in missing:
                _build(model, engine, found[engine], hub.url)
                found[engine].with_name(CODE).write_text(code)
        shutil.rmtree(repository)
    return found


def _code_of(bundle: Path) -> str | None:
    """Return the digest of the code that built a bundle; None where there is no bundle, or where nobody wrote it."""
    mark = bundle.with_name(CODE)
    return mark.read_text() if (bundle / "manifest.json").exists() and mark.exists() else None


def _build(model: Model, engine: tuple[str, str], bundle: Path, hub: str) -> None:
    bundle.parent.mkdir(parents=True, exist_ok=True)
    spec = bundle.with_name("models.toml")
    lines = {"name": model.name, "pretrained": model.tag, "engine": engine[0], "precision": engine[1]}
    spec.write_text("[[model]]\n" + "".join(f'{key} = "{value}"\n' for key, value in lines.items()))
    cache = bundle.parents[1] / "cache"
    command = [sys.executable, "-m", "layer", "build", "--models", str(spec), "--output", str(bundle)]
    environ = {"PATH": os.environ["PATH"], "HF_ENDPOINT": hub, "HF_HOME": str(cache / "hf")}
    done = subprocess.run([*command, "--cache", str(cache)], cwd=ROOT, env=environ, check=False)
    if done.returncode:
        raise BenchmarkError(f"the build of {model.name} failed: its reason is above")
