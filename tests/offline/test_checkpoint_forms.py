"""Of what is written of an own checkpoint, the cache keeps the latest, whole."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from layer.sources import local_checkpoint
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
    assert [path.name for path in first.folder.parent.iterdir()] == [first.folder.name]
