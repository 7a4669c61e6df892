"""What `inspect --models` says before a build, held to the files that there are."""

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from layer.errors import CheckpointError
from layer.registry import parameter_count
from layer.registry.estimate import estimate, fits
from layer.sources.download import NOTHING_PREPARED, gather_configs
from layer.sources.resolve import CONFIG_FILE
from layer.spec import ModelSpec, read_spec
from tests.hub import repositories
from tests.hub.odd import forget
from tests.hub.repositories import demo_snapshot
from tests.hub.server import serving

ROOT = Path(__file__).parents[2]
ACME = ModelSpec("hf-hub:acme/tiny")


def write(folder: Path, *models: str, target: str = "") -> Path:
    path = folder / "models.toml"
    path.write_text(f"[target]\n{target}\n" + "".join(f"[[model]]\n{model}\n" for model in models))
    return path


def test_a_checkpoint_is_estimated_at_its_own_size(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path, 'name = "hf-hub:openclip-lambda/shapes-i18n"\nengine = "torch"'))

    [demo] = estimate(spec, tmp_path / "cache")

    checkpoint = (demo_snapshot() / "open_clip_model.safetensors").stat().st_size
    assert 0.98 * checkpoint < demo.weights <= checkpoint  # its header, and batch norms' counters in 8 bytes
    assert (demo_snapshot() / "tokenizer.json").stat().st_size <= demo.tokenizer


def test_it_says_what_fits_before_anything_is_built(tmp_path: Path) -> None:
    small, large = 'name = "MobileCLIP2-S0"\npretrained = "dfndr2b"', 'name = "ViT-L-14"\npretrained = "openai"'
    layer = 'package = "layer"'
    most_used = 'name = "ViT-B-32"\npretrained = "laion2b_s34b_b79k"'
    cases = (([small], {"layer", "image"}), ([most_used], {"layer", "image"}), ([large], {"image"}))
    for models, fit in (*cases, ([small, large], {"image"})):
        spec = read_spec(write(tmp_path, *models, target=layer))
        left = fits(spec, estimate(spec, tmp_path / "cache"))
        assert {shape for shape, spare in left.items() if spare >= 0} == fit


def test_a_config_of_no_model_is_named_with_its_model_and_the_reason(tmp_path: Path) -> None:
    folder = repositories.small_clip(tmp_path / "own")
    path = folder / "open_clip_config.json"
    path.write_text(path.read_text().replace('"heads": 2', '"heads": 5'))

    with pytest.raises(CheckpointError, match=r"own: open_clip .* cannot build a model .*divisible by num_heads"):
        estimate(read_spec(write(tmp_path, f'name = "acme/own"\ncheckpoint = "{folder}"')), tmp_path / "cache")


@pytest.mark.parametrize("checkpoint", ["https://nowhere.invalid/w.safetensors", None])
def test_of_a_checkpoint_of_one_s_own_the_config_alone_is_read(tmp_path: Path, checkpoint: str | None) -> None:
    """A build that runs keeps its copy of the weights, and no address is asked for gigabytes."""
    folder = repositories.small_clip(tmp_path / "own")
    config = folder / "open_clip_config.json"
    checkpoint = checkpoint or str(folder)
    given = f'name = "acme/own"\ncheckpoint = "{checkpoint}"\nconfig = "{config}"\nengine = "torch"'

    [one] = estimate(read_spec(write(tmp_path, given)), tmp_path / "cache")

    weights = (folder / "open_clip_model.safetensors").stat().st_size
    assert 0.9 * weights < one.weights <= weights
    assert not [*(tmp_path / "cache").rglob("*.safetensors")]


def four_configs(cache: Path) -> list[str]:
    """Return what four read that fetch the config of one repository at the same moment."""
    together = threading.Barrier(4)

    def fetched(_: int) -> str:
        together.wait()
        [[located]] = gather_configs([ACME], cache, {}, NOTHING_PREPARED)
        return (located.folder / CONFIG_FILE).read_text()

    with ThreadPoolExecutor(4) as pool:
        return [*pool.map(fetched, range(4))]


def test_several_may_fetch_the_config_of_one_repository_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`inspect --models` takes no lock of the cache."""
    forget(monkeypatch)
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        config = hub.add("acme/tiny", repositories.small_clip(tmp_path / "tiny")).folder / CONFIG_FILE
        for number in range(8):
            assert four_configs(tmp_path / str(number)) == [config.read_text()] * 4

    assert {path.name for path in tmp_path.glob("[0-9]/hub/*/*/*")} == {CONFIG_FILE}


def test_several_may_copy_the_config_of_an_older_commit_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the file system has no hard links, each copies it: no process may see or move another's half of a copy."""
    forget(monkeypatch)
    copy = shutil.copy2

    def in_two_parts(source: Path, target: Path) -> None:
        copy(source, target)
        whole = target.read_bytes()
        target.write_bytes(whole[: len(whole) // 2])
        time.sleep(0.02)
        target.write_bytes(whole)

    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        folder = repositories.small_clip(tmp_path / "tiny")
        config = hub.add("acme/tiny", folder).folder / CONFIG_FILE
        [[older]] = gather_configs([ACME], tmp_path / "cache", {}, NOTHING_PREPARED)
        other = older.folder.with_name("0" * 40)
        monkeypatch.setattr(os, "link", refused)
        monkeypatch.setattr(shutil, "copy2", in_two_parts)
        for _ in range(8):
            shutil.rmtree(other, ignore_errors=True)
            older.folder.rename(other)
            assert four_configs(tmp_path / "cache") == [config.read_text()] * 4

    assert {path.name for path in tmp_path.glob("cache/hub/*/*/*")} == {CONFIG_FILE}


def refused(source: Path, target: Path) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def test_a_text_tower_s_config_may_leave_out_what_is_the_default_of_its_kind() -> None:
    tower = {"model_type": "bert", "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = {
        "embed_dim": 64,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 8},
        "text_cfg": {"hf_model_name": "acme/tower", "hf_proj_type": "linear"},
    }

    row = parameter_count.count_config(config, {"acme/tower": tower})

    assert row == parameter_count.count_config(config, {"acme/tower": {**tower, "vocab_size": 30522}})  # BERT's
    assert row["parameters"]["text"] > 30522 * 64


def test_the_command_prints_sizes_and_the_answer(tmp_path: Path) -> None:
    path = write(tmp_path, 'name = "ViT-L-14"\npretrained = "openai"', target='package = "layer"')

    run = subprocess.run(
        [sys.executable, "-m", "layer", "inspect", "--models", str(path)], cwd=ROOT, capture_output=True, text=True
    )

    assert (run.returncode, run.stderr) == (0, "")
    assert "package layer; not built yet" in run.stdout
    assert "MB too much" in run.stdout.split("layer:", 1)[1].splitlines()[0]
    assert "image: fits" in run.stdout
