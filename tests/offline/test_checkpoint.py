"""Models of one's own: a directory, a training checkpoint, a TorchScript archive or a URL becomes a bundle like any."""

import base64
import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from layer.errors import CheckpointError
from layer.openclip import open_clip
from layer.sources import local_checkpoint
from layer.spec import ModelSpec
from tests.hub import repositories
from tests.hub.builder import ROOT, Builder
from tests.hub.server import serving

SPEC = """
[[model]]
name = "acme/shapes"
checkpoint = "fine-tune"
engine = "torch"

[[model]]
name = "acme/epoch"
checkpoint = "runs/epoch_3.pt"
config = "runs/open_clip_config.json"
engine = "torch"
"""


def own(place: Path | str, config: str | None = None) -> ModelSpec:
    return ModelSpec("hf-hub:acme/own", checkpoint=str(place), config=config)


def training_checkpoint(folder: Path) -> Path:
    """What open_clip's training writes: the state beside the epoch and the optimizer's, of a model in parallel."""
    repositories.small_clip(folder)
    state = load_file(folder / "open_clip_model.safetensors")
    (folder / "open_clip_model.safetensors").unlink()
    saved = {"epoch": 3, "name": "run", "state_dict": {f"module.{key}": value for key, value in state.items()}}
    torch.save({**saved, "optimizer": {"state": {0: {"step": torch.tensor(7.0)}}}}, folder / "epoch_3.pt")
    return folder / "epoch_3.pt"


def test_a_directory_and_a_training_checkpoint_embed_as_open_clip_does_with_them(tmp_path: Path) -> None:
    with serving() as hub:  # of which nothing is needed
        builder = Builder(tmp_path / "work", hub)
        builder.root.mkdir()
        folder = builder.root / "fine-tune"
        shutil.copytree(repositories.demo_snapshot(), folder)
        epoch = training_checkpoint(builder.root / "runs")
        run = builder.run(SPEC)
    assert run.returncode == 0, run.stderr
    assert hub.requests == []

    told = json.loads(builder.manifest)["models"]
    assert [model["id"] for model in told] == ["acme/shapes", "acme/epoch"]
    config = json.loads((epoch.parent / "open_clip_config.json").read_text())["model_cfg"]
    torch.manual_seed(1)
    trained = open_clip.model.CLIP(**{key: value for key, value in config.items() if key != "custom_text"})
    open_clip.load_checkpoint(trained, str(epoch))
    shapes, _ = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    tokenizers = open_clip.get_tokenizer(f"local-dir:{folder}"), open_clip.get_tokenizer("ViT-B-32")
    for entry, model, tokenizer in zip(told, (shapes, trained), tokenizers, strict=True):
        ids = tokenizer(entry["golden"]["texts"])
        with torch.inference_mode():
            expected = model.eval().encode_text(ids, normalize=True).numpy()
        found = np.stack([vector(text) for text in entry["golden"]["text_embeddings"]])
        assert entry["golden"]["token_ids"] == ids.tolist()
        assert (found * expected).sum(axis=1).min() >= 0.99999


def vector(encoded: str) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    return np.frombuffer(base64.b64decode(encoded), "<f4")


def test_a_pair_of_the_registry_gives_a_file_its_config_and_its_preprocessing(tmp_path: Path) -> None:
    torch.save({"logit_scale": torch.ones([])}, tmp_path / "w.pt")

    repository = local_checkpoint.repository(own(tmp_path / "w.pt", "ViT-B-16-SigLIP/webli"), tmp_path / "cache")

    written = json.loads((repository.located.folder / "open_clip_config.json").read_text())
    assert written["model_cfg"] == open_clip.get_model_config("ViT-B-16-SigLIP")
    expected = open_clip.get_pretrained_cfg("ViT-B-16-SigLIP", "webli")
    assert written["preprocess_cfg"]["mean"] == list(expected["mean"]) == [0.5, 0.5, 0.5]
    assert written["preprocess_cfg"]["resize_mode"] == "squash"
    assert [(need.repo, need.roles) for need in repository.needs] == [("timm/ViT-B-16-SigLIP", ("tokenizer",))]


def test_a_torchscript_archive_such_as_openais_is_read_for_its_weights(tmp_path: Path) -> None:
    layer = torch.nn.Linear(3, 2)
    torch.jit.script(layer).save(str(tmp_path / "RN.pt"))

    repository = local_checkpoint.repository(own(tmp_path / "RN.pt", "RN50-quickgelu/openai"), tmp_path / "cache")

    found = load_file(repository.located.folder / "open_clip_model.safetensors")
    assert torch.equal(found["weight"], layer.weight)


@pytest.fixture
def website(tmp_path: Path) -> Iterator[str]:
    """A place outside the hub that serves tmp_path/site."""
    (tmp_path / "site" / "mlfoundations").mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "site")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/mlfoundations"
    server.shutdown()
    server.server_close()


def test_a_file_from_outside_the_hub_is_held_to_the_checksum_in_its_url(tmp_path: Path, website: str) -> None:
    site = tmp_path / "site" / "mlfoundations"
    torch.save({"logit_scale": torch.ones([])}, site / "w.pt")
    digest = hashlib.sha256((site / "w.pt").read_bytes()).hexdigest()
    (site / "w.pt").rename(site / f"w-{digest[:8]}.pt")
    shutil.copy(site / f"w-{digest[:8]}.pt", site / "w-00000000.pt")

    good, bad = (take(f"{website}/w-{known}.pt", tmp_path / "cache") for known in (digest[:8], "00000000"))

    assert good.stdout.split() == ["open_clip_config.json", "open_clip_model.safetensors"], good.stderr
    assert f"has sha256 {digest}, expected is 00000000" in bad.stderr


def take(url: str, cache: Path) -> "subprocess.CompletedProcess[str]":
    """Ask for a checkpoint in a process that is online: this one's libraries were told that they are not."""
    code = (
        "import sys; from pathlib import Path; from layer.sources import local_checkpoint\n"
        "from layer.spec import ModelSpec\n"
        "spec = ModelSpec('hf-hub:acme/own', checkpoint=sys.argv[1], config='ViT-B-32/laion2b_s34b_b79k')\n"
        "print(*local_checkpoint.repository(spec, Path(sys.argv[2])).located.expected)"
    )
    command = [sys.executable, "-c", code, url, str(cache)]
    environ = {"PATH": os.environ["PATH"]}
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


class Malice:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("code ran while weights were read",)


def broken(tmp_path: Path) -> dict[str, tuple[ModelSpec, str]]:
    for name in ("two", "bare", "plain"):
        (tmp_path / name).mkdir()
    for name in ("a.pt", "b.pt"):
        (tmp_path / "two" / name).touch()
    (tmp_path / "bare" / "model.safetensors").touch()
    (tmp_path / "plain" / "model.safetensors").touch()
    (tmp_path / "plain" / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"text_cfg": {}}}))
    with (tmp_path / "evil.pt").open("wb") as stream:
        pickle.dump(Malice(), stream)
    torch.save([1, 2], tmp_path / "list.pt")
    pair = "ViT-B-32/laion2b_s34b_b79k"
    return {
        "not there": (
            own(tmp_path / "nothing.pt", pair),
            "is not there: correct `checkpoint`, whose path is relative to models.toml",
        ),
        "two checkpoints": (own(tmp_path / "two", pair), "has to have one checkpoint .* it has a.pt, b.pt"),
        "no config": (own(tmp_path / "bare"), "open_clip_config.json is not there: say what acme/own was made from"),
        "no preprocessing": (own(tmp_path / "plain"), "lacks .*preprocess_cfg"),
        "no such pair": (own(tmp_path / "list.pt", "ViT-B-32/nonsense"), "is not a pair of the registry"),
        "code inside": (own(tmp_path / "evil.pt", pair), "cannot be loaded without running code in it"),
        "no state": (own(tmp_path / "list.pt", pair), "holds no state_dict"),
    }


@pytest.mark.parametrize(
    "case", ["not there", "two checkpoints", "no config", "no preprocessing", "no such pair", "code inside", "no state"]
)
def test_what_cannot_be_a_model_is_named_with_the_fix(
    tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, says = broken(tmp_path)[case]

    with pytest.raises(CheckpointError, match=says):
        local_checkpoint.repository(spec, tmp_path / "cache")
    assert "code ran" not in capsys.readouterr().out


TOKENIZERS = {
    "no vocabulary": (
        ("tokenizer.json", None),
        "has tokenizer_config.json, special_tokens_map.json of a tokenizer, and",
    ),
    "nothing in it": (("tokenizer.json", ""), "tokenizer.json: .* it is empty"),
    "half a file": (("tokenizer.json", '{"model": {"vo'), "tokenizer.json: it cannot be read .*: copy it again"),
    "a web page": (("vocab.txt", "<!doctype html>"), "vocab.txt: it is a web page: copy it again"),
    "a link to nothing": (("tokenizer.json", Path("../blobs/aa")), "tokenizer.json: the link leads to a file that is"),
    "a pointer": (("tokenizer.json", "version https://git-lfs.github.com/spec/v1\noid sha256:aa"), "git lfs pull"),
}


@pytest.mark.parametrize("case", TOKENIZERS)
def test_a_tokenizer_that_is_not_whole_is_named_before_a_library_stumbles_over_it(tmp_path: Path, case: str) -> None:
    (name, content), says = TOKENIZERS[case]
    folder = shutil.copytree(repositories.demo_snapshot(), tmp_path / "own")
    (folder / name).unlink(missing_ok=True)
    if isinstance(content, Path):
        (folder / name).symlink_to(content)
    elif content is not None:
        (folder / name).write_text(content)

    with pytest.raises(CheckpointError, match=says):
        local_checkpoint.repository(own(folder), tmp_path / "cache")


def test_a_build_says_where_the_config_is_of_a_pair_that_is_computed_otherwise_than_it_was_trained(
    tmp_path: Path,
) -> None:
    torch.save({"visual.proj": torch.zeros(768, 512)}, tmp_path / "w.pt")  # of which no model is made
    with serving() as hub:
        run = Builder(tmp_path, hub).run(
            '[[model]]\nname = "acme/own"\ncheckpoint = "w.pt"\nconfig = "ViT-B-32/openai"\n'
        )

    assert "note: acme/own has the config of ViT-B-32/openai, which open_clip computes with GELU" in run.stderr
    assert 'if yours were, too, write config = "ViT-B-32-quickgelu/openai"' in run.stderr
    assert "its checkpoint does not fit its config" in run.stderr
