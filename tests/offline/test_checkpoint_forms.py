"""Of what is written of an own checkpoint, the cache keeps the latest, whole."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from layer.errors import FetchError
from layer.sources import local_checkpoint
from layer.sources.download import CONFIGS, NOTHING_PREPARED, gather_configs
from layer.sources.fetch import download
from layer.spec import ModelSpec
from tests.hub import repositories
from tests.hub.builder import Builder
from tests.hub.server import serving
from tests.offline.test_checkpoint import own, training_checkpoint


def test_only_the_latest_form_of_a_changed_checkpoint_is_kept(tmp_path: Path) -> None:
    saved = training_checkpoint(tmp_path / "run")
    config = str(tmp_path / "run" / "open_clip_config.json")
    state = torch.load(saved)
    kept = []
    for epoch in range(3):
        state["state_dict"]["module.logit_scale"] = torch.tensor(float(epoch))
        torch.save(state, saved)
        kept.append(local_checkpoint.repository(own(saved, config), tmp_path / "cache").located.folder)

    assert len(set(kept)) == 3
    assert [path for path in tmp_path.glob("cache/local/*/*") if path.is_dir()] == kept[-1:]
    assert load_file(kept[-1] / "open_clip_model.safetensors")["logit_scale"] == 2


def test_an_interrupted_removal_or_build_leaves_nothing_that_is_taken_or_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = training_checkpoint(tmp_path / "run")
    model = own(saved, str(tmp_path / "run" / "open_clip_config.json"))
    before = saved.read_bytes()
    first = local_checkpoint.repository(model, tmp_path / "cache").located
    torch.save({**torch.load(saved), "epoch": 4}, saved)

    def stopped(folder: Path, **_: object) -> None:
        for weights in folder.glob("*.safetensors"):
            weights.unlink()
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", stopped)
        with pytest.raises(KeyboardInterrupt):
            local_checkpoint.repository(model, tmp_path / "cache")
    saved.write_bytes(before)
    (first.folder.with_name(f"{'0' * 40}.making")).mkdir()
    again = local_checkpoint.repository(model, tmp_path / "cache").located

    assert (again.folder, again.expected) == (first.folder, first.expected)
    assert [path.name for path in first.folder.parent.iterdir() if path.is_dir()] == [first.folder.name]


def with_text_tower(folder: Path, width: int) -> ModelSpec:
    """Of the same name, whatever its text tower: two checkouts may share a cache."""
    path = repositories.small_clip(folder) / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"]["text_cfg"]["hf_model_name"] = "acme/tower"
    path.write_text(json.dumps(config))
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": width}))
    return own(folder)


def test_configs_are_read_whole_while_others_write_them(tmp_path: Path) -> None:
    """`inspect --models` takes no lock: several may run at once, beside a build."""
    models = {width: with_text_tower(tmp_path / str(width), width) for width in (8, 1024)}

    def read(width: int) -> set[int]:
        found = set()
        for _ in range(60):
            [[located]] = gather_configs([models[width]], tmp_path / "cache", {}, NOTHING_PREPARED)
            texts = {name: json.loads((located.folder / name).read_text()) for name in located.expected}
            assert sorted(texts) == ["config.json", "open_clip_config.json"]
            found.add(texts["config.json"]["hidden_size"])
        return found

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, (8, 1024, 8, 1024))) == [{8}, {1024}, {8}, {1024}]


def test_what_was_written_of_an_own_checkpoint_is_not_asked_of_the_hub(tmp_path: Path) -> None:
    """Its name may be of another's repository there."""
    located = local_checkpoint.repository(with_text_tower(tmp_path / "own", 8), tmp_path / "cache", CONFIGS).located
    (located.folder / "config.json").unlink()

    assert located.missing() == ["config.json"]
    with pytest.raises(FetchError, match=r"config\.json of acme/own has gone since it was written"):
        download(located, "config.json", lambda _: None)


def test_a_checkpoint_is_built_anew_for_other_bytes_and_not_for_another_time_or_place(tmp_path: Path) -> None:
    """A checkout, a copy and a restored cache write the same bytes with new times, and elsewhere."""
    folder = repositories.small_clip(tmp_path / "own")
    spec = '[[model]]\nname = "acme/own"\ncheckpoint = "{}"\nengine = "torch"\n'

    def built(place: Path) -> dict[str, int]:
        run = builder.run(spec.format(place))
        assert run.returncode == 0, run.stderr
        return {one.parent.name: one.stat().st_mtime_ns for one in tmp_path.glob("work/cache/built/*/*/report.json")}

    with serving() as hub:
        builder = Builder(tmp_path / "work", hub)
        first = built(folder)
        for path in folder.iterdir():
            path.touch()
        assert built(folder) == first
        assert built(folder.rename(tmp_path / "moved")) == first
        folder = tmp_path / "moved"
        weights = load_file(folder / "open_clip_model.safetensors")
        weights["logit_scale"] += 1
        save_file(weights, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
        other = built(folder)

    assert other.keys() != first.keys()
    manifest = json.loads(builder.manifest)
    assert manifest["models"][0]["logit_scale"] == pytest.approx(float(weights["logit_scale"].exp()))
