"""Every entry of the installed open_clip's registry has a plan, and the plan is what open_clip itself will ask for."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from layer.openclip import open_clip
from layer.registry import parameter_count, table
from layer.sources import resolve
from layer.spec import ModelSpec
from tests.hub.server import serving

ROOT = Path(__file__).parents[2]
PAIRS = open_clip.list_pretrained()
WRITE = "run `python -m layer.registry.parameter_count`"
TABLE: dict[str, Any] = json.loads(table.TABLE.read_text())


class Asked(Exception):
    """Ends open_clip's own loading once it has asked for what it wants."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What open_clip asks the hub for, by role; the weights' names in the order of asking."""
    seen: dict[str, list[str]] = {"weights": [], "tokenizer": [], "text_config": []}

    def download(repo_id: str, filename: str, **_: Any) -> str:
        seen["weights"].append(f"{repo_id}/{filename}")
        raise Asked

    def tokenizer(name: str, **_: Any) -> Any:
        seen["tokenizer"].append(name)
        return SimpleNamespace()

    def config(name: str, **_: Any) -> Any:
        seen["text_config"].append(name)
        raise Asked

    monkeypatch.setattr("open_clip.pretrained.hf_hub_download", download)
    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", tokenizer)
    monkeypatch.setattr("open_clip.hf_model.AutoConfig.from_pretrained", config)
    return seen


def test_the_table_names_every_pair_of_the_installed_registry() -> None:
    planned = {(row["name"], row["pretrained"]) for row in TABLE["pairs"]}

    assert sorted(set(PAIRS) - planned) == [], f"new in this open_clip: {WRITE}, read its diff"
    assert sorted(planned - set(PAIRS)) == [], f"gone from this open_clip: {WRITE}"
    assert sorted(set(open_clip.list_models()) ^ set(TABLE["models"])) == []
    assert parameter_count.pairs() == TABLE["pairs"]


def test_every_plan_asks_for_the_weights_that_open_clip_asks_for(asked: dict[str, list[str]]) -> None:
    for name, tag in PAIRS:
        asked["weights"].clear()
        with pytest.raises(FileNotFoundError):
            open_clip.pretrained.download_pretrained(open_clip.get_pretrained_cfg(name, tag))

        [weights] = [need for need in resolve.source_plan(ModelSpec(name, tag)).needs if need.weights]
        assert [f"{weights.repo}/{file}" for file in weights.weights] == asked["weights"], (name, tag)
        assert weights.choose(["README.md", "tokenizer.json", *weights.weights])[0] == weights.weights[0]


def test_every_plan_asks_for_the_tokenizer_and_the_text_config_that_open_clip_asks_for(
    asked: dict[str, list[str]],
) -> None:
    for name in open_clip.list_models():
        asked["tokenizer"].clear()
        asked["text_config"].clear()
        made = open_clip.get_tokenizer(name)
        assert isinstance(made, open_clip.tokenizer.HFTokenizer | open_clip.tokenizer.SimpleTokenizer), name
        if "hf_model_name" in open_clip.get_model_config(name)["text_cfg"]:
            with pytest.raises(Asked), torch.device("meta"):
                open_clip.create_model(name, device="meta", load_weights=False, pretrained_text=False)

        needs = resolve.text_needs(open_clip.get_model_config(name))
        planned = {role: [need.repo for need in needs if role in need.roles] for role in ("tokenizer", "text_config")}
        assert planned == {role: asked[role] for role in planned}, name


def test_weights_outside_the_hub_come_with_the_checksum_that_open_clip_checks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compared: list[str] = []

    class Digest:
        def hexdigest(self) -> Any:
            return SimpleNamespace(startswith=self.startswith)

        def startswith(self, expected: str) -> bool:
            compared.append(expected)
            return True

    monkeypatch.setattr("open_clip.pretrained.hashlib.sha256", lambda _: Digest())
    with_url = [(name, tag) for name, tag in PAIRS if open_clip.get_pretrained_cfg(name, tag)["url"]]
    assert len(with_url) > 50
    for name, tag in with_url:
        url = open_clip.get_pretrained_cfg(name, tag)["url"]
        (tmp_path / url.rpartition("/")[2]).touch()
        compared.clear()
        open_clip.pretrained.download_pretrained_from_url(url, cache_dir=str(tmp_path))

        direct = resolve.source_plan(ModelSpec(name, tag)).direct
        assert direct == resolve.Direct(url, compared[0] if compared else ""), (name, tag)


def test_a_name_that_is_computed_with_another_activation_than_it_was_trained_with_says_so() -> None:
    for name, tag in PAIRS:
        advice = resolve.source_plan(ModelSpec(name, tag)).advice
        differs = open_clip.get_pretrained_cfg(name, tag).get("quick_gelu", False) != open_clip.get_model_config(
            name
        ).get("quick_gelu", False)
        assert bool(advice) == differs, (name, tag)
    assert 'name = "RN50-quickgelu"' in str(resolve.source_plan(ModelSpec("RN50", "openai")).advice)


def test_weights_of_ones_own_that_take_the_config_of_such_a_name_say_so() -> None:
    """The activation shows in no shape: a checkpoint of the other one loads, and its vectors are wrong."""
    for name, tag in PAIRS:
        plan = resolve.source_plan(ModelSpec(name, tag))
        told = resolve.advice(ModelSpec("hf-hub:acme/own", checkpoint="w.pt", config=f"{name}/{tag}"))
        assert bool(told) == bool(plan.advice), (name, tag)
        if found := re.search(r'write config = "(.*)/(.*)"', told or ""):
            assert open_clip.get_pretrained_cfg(*found.groups()).get("quick_gelu"), told
            assert open_clip.get_model_config(found[1])["quick_gelu"], told
    told = resolve.advice(ModelSpec("hf-hub:acme/own", checkpoint="w.pt", config="ViT-B-32/openai"))
    assert str(told).endswith('if yours were, too, write config = "ViT-B-32-quickgelu/openai"')
    assert resolve.advice(ModelSpec("hf-hub:acme/own", checkpoint="w", config="open_clip_config.json")) is None


@pytest.mark.parametrize("name", ["ViT-B-32", "RN50", "ViT-B-16-SigLIP", "MobileCLIP2-S0", "PE-Core-T-16-384"])
def test_parameters_are_counted_as_torch_counts_them(name: str) -> None:
    with torch.device("meta"):
        model = open_clip.create_model(name, device="meta", load_weights=False)
    buffers = {key for key, _ in model.named_buffers()} & set(model.state_dict())
    stored = sum(tensor.numel() for tensor in model.parameters()) + sum(
        model.state_dict()[key].numel() for key in buffers
    )

    row = TABLE["models"][name]
    assert sum(row["parameters"].values()) == stored
    assert row["bytes"]["fp32"] == 4 * stored
    assert row == parameter_count.count(name)


def test_licenses_are_asked_of_the_hub_and_where_it_cannot_say_the_reason_is_reported(tmp_path: Path) -> None:
    with serving() as hub:
        hub.add("laion/CLIP-ViT-B-32-xlm-roberta-base-laion5B-s13B-b90k", tmp_path, license="mit")
        hub.add("xlm-roberta-base", tmp_path, license=None)
        hub.add("xlm-roberta-large", tmp_path, license="cc-by-nc-4.0", gated=True)
        run = subprocess.run(
            [sys.executable, "-m", "layer", "models", "--family", "xlm-roberta", "--licenses"],
            cwd=ROOT, capture_output=True, text=True, check=True,
            env={"PATH": os.environ["PATH"], "HF_ENDPOINT": hub.url},
        )  # fmt: skip

    found = dict(line.split(maxsplit=1) for line in run.stdout.partition("\n\nrepository")[2].splitlines()[1:])
    assert found.pop("laion/CLIP-ViT-B-32-xlm-roberta-base-laion5B-s13B-b90k") == "mit"
    assert found.pop("xlm-roberta-base") == "not stated"
    assert "accept its terms" in found.pop("xlm-roberta-large")
    assert "is not there" in found.pop("laion/CLIP-ViT-H-14-frozen-xlm-roberta-large-laion5B-s13B-b90k")
    assert found == {}


def test_the_list_can_be_filtered_and_cut_short_by_a_pipe() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "layer", "models", "--family", "siglip2", "--fits", "image", "--wide"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    cut = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m layer models --all | head -1"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert len([line for line in listed.splitlines() if line.startswith("ViT-") and "webli" in line]) == len(
        [name for name, _ in PAIRS if "siglip2" in name.lower()]
    )
    header, first = listed.splitlines()[:2]
    assert header.split()[-5:] == ["dim", "image", "tokens", "fits", "repositories"]
    config = open_clip.get_model_config(first.split()[0])
    size, text = config["vision_cfg"]["image_size"], config["text_cfg"]
    assert [str(config["embed_dim"]), f"{size}x{size}", str(text["context_length"]), "image"] == first.split()[-5:-1]
    assert first.split()[-1] == f"timm/{first.split()[0]}"
    assert cut.stdout.startswith("name")
    assert cut.stderr == ""
