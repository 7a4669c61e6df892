"""`--update` and a checkpoint of an address: what the address leads to now is taken, once all of it is there."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save

from layer.errors import FetchError
from layer.network import transfer
from layer.sources.download import gather
from layer.spec import ModelSpec
from tests.hub.odd import Reply, closing, forget, odd_hub


def weights(value: float) -> bytes:
    content: bytes = save({"logit_scale": torch.tensor(value)}, metadata={"format": "pt"})
    return content


def scale(model: ModelSpec, cache: Path, mode: str) -> float:
    [[fetched]] = gather([model], cache, {}, mode=mode)
    return float(load_file(fetched.folder / "open_clip_model.safetensors")["logit_scale"])


def test_a_checkpoint_of_an_address_is_fetched_anew_by_update_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    forget(monkeypatch)
    monkeypatch.setattr(transfer, "sleep", lambda _: None)
    served = [Reply(body=weights(1))]
    pair = "ViT-B-32/laion2b_s34b_b79k"
    with odd_hub(lambda _path, _headers: served[0]) as site:
        model = ModelSpec("hf-hub:acme/own", checkpoint=f"{site.url}/e.safetensors", config=pair)
        assert scale(model, tmp_path, "keep") == 1
        served[0] = Reply(body=weights(2))
        assert scale(model, tmp_path, "keep") == 1
        assert scale(model, tmp_path, "update") == 2
        served[0] = closing(Reply(body=weights(3)[:40], length=str(len(weights(3)))))  # and the connection breaks
        with pytest.raises(FetchError):
            scale(model, tmp_path, "update")
        assert scale(model, tmp_path, "keep") == 2
        served[0] = Reply(404)
        with pytest.raises(FetchError, match=r"e\.safetensors"):
            scale(model, tmp_path, "update")
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        assert scale(model, tmp_path, "update") == 2
