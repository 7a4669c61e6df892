"""Export one model for a fast engine: `python -m layer.export.onnx_export`, a process of its own.

Writes into --out: image.onnx and text.onnx in fp32, text.table.npy (the token table, where it comes apart),
tokenizer.json, facts.json, samples.json, and what the towers are given where activations are measured: inputs.npz for
channels, calibration.npz, more images, for fixed ranges.
"""

import gc
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from console.parser import Parser
from console.run import run_step
from layer.bundle import reference, sandbox
from layer.bundle.export_records import TowerFacts
from layer.bundle.records import ExportedFacts, as_json
from layer.errors import ExportError
from layer.export.photographs import photographs, scenes
from layer.export.samples import samples
from layer.export.tokenizer_form import is_mapped, vocabulary_texts
from layer.spec import ModelSpec

MAX_INPUTS = 32
MORE_IMAGES = 16


def make(model: ModelSpec, hub: Path, out: Path, own_samples: Path | None) -> None:
    """Export `model`, whose repositories are in the cache `hub`, into `out`, with its facts for the manifest.

    Raises ExportError with the exporter's reason.
    """
    command = ["-m", "layer.export.onnx_export", "--name", model.name, "--out", str(out.resolve())]
    command += ["--pretrained", model.pretrained] if model.pretrained else []
    command += ["--samples", str(own_samples.resolve())] if own_samples else []
    run = sandbox.run_with_hub(hub, command)
    if run.returncode != 0:
        reason = sandbox.reason(run, out)
        if message := sandbox.own_message(reason):
            raise ExportError(f"{model.id}: {message}")
        raise ExportError(
            f'{model.id} cannot be exported to ONNX ({reason}): set engine = "torch" for this model in models.toml'
        )


def _make(name: str, pretrained: str | None, out: Path, own_samples: Path | None) -> None:
    from layer.export.onnx_graph import export_fp32
    from layer.export.token_table import externalize_table
    from layer.export.tokenizer import export_tokenizer
    from layer.export.towers import end_id, is_causal

    loaded = reference.load(name, pretrained)
    found = reference.facts(name, loaded)
    texts, images = samples(own_samples, found.image_size)
    # `verify` will ask for the golden ones too
    asked = reference.embed(loaded, texts, [*images, *photographs(found.image_size)]).and_then(found.golden)
    export_fp32(loaded.model, found.image_size, found.context_length, out)
    towers = TowerFacts(is_causal(loaded.model), end_id(loaded.model), externalize_table(out / "text.onnx"))
    _keep_inputs(loaded, texts[:MAX_INPUTS], images[:MAX_INPUTS], towers, out)
    tokenizer = export_tokenizer(loaded.tokenizer, found.tokenizer, out)
    if is_mapped(tokenizer):
        inner = getattr(loaded.tokenizer, "tokenizer", loaded.tokenizer)  # transformers', or open_clip's own
        asked = asked.and_tokenized(texts := vocabulary_texts(inner), loaded.tokenizer(texts).tolist())
    (out / "samples.json").write_text(json.dumps(as_json(asked)))
    facts = ExportedFacts(**{**vars(found), "tokenizer": tokenizer}, export=towers)
    (out / "facts.json").write_text(json.dumps(as_json(facts)))


def _keep_inputs(
    loaded: reference.Loaded, texts: list[str], images: list[Image.Image], towers: TowerFacts, out: Path
) -> None:
    ids = loaded.tokenizer(texts).numpy()
    inputs = {"pixels": np.stack([loaded.transform(image).numpy() for image in images]), "ids": ids}
    if (out / "text.table.npy").exists():
        inputs["rows"] = np.load(out / "text.table.npy", mmap_mode="r")[ids]
    if towers.causal_text:  # leave out padding: its range does not matter, because it does not affect the embedding
        ends = ids.argmax(axis=1) if towers.end_id is None else (ids == towers.end_id).argmax(axis=1)
        inputs["lengths"] = ends + 1
    np.savez(out / "inputs.npz", **inputs)
    more = [loaded.transform(image).numpy() for image in (*scenes(MORE_IMAGES), Image.new("RGB", (64, 64)))]
    np.savez(out / "calibration.npz", pixels=np.concatenate([inputs["pixels"], np.stack(more)]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Export one model; returns the exit status."""
    return run_step(lambda: _command(arguments))


def _command(given: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m layer.export.onnx_export", description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--pretrained")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samples", type=Path)
    arguments = parser.parse_args(given)
    logging.disable(logging.WARNING)  # stderr's last line is the reason of a failure
    # Garbage collection takes up to a seventh of the exporter's time, and this process ends soon.
    gc.disable()
    _make(arguments.name, arguments.pretrained, arguments.out, arguments.samples)


if __name__ == "__main__":
    sys.exit(main())
