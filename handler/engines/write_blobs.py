"""Write host blobs of a bundle's towers: each compiled by this host's OpenVINO, with the settings that this host uses.

The builder runs `python -m handler.engines.write_blobs --bundle DIR --output DIR`, with the code that ships. It prints
what it wrote as JSON. With `--processor` it prints only this host's kind.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from handler import manifest
from handler.engines import create_engine, host_blob
from handler.engines.host_kind import processor
from handler.manifest import HOST_BLOB, MODALITIES
from handler.settings import Settings


def main(arguments: list[str] | None = None) -> None:
    """Write the blobs and print the report, or say on standard error why there is none."""
    parser = argparse.ArgumentParser(prog="python -m handler.engines.write_blobs", description=__doc__)
    parser.add_argument("--processor", action="store_true", help="print this host's kind")
    parser.add_argument("--bundle", type=Path, help="the bundle's directory")
    parser.add_argument("--output", type=Path, help="a directory that is there")
    given = parser.parse_args(arguments)
    if given.processor:
        print(processor())
        return
    if not processor():
        sys.exit("/proc/cpuinfo of this host does not list the processor's features: make host blobs on x86_64 Linux")
    print(json.dumps(write(given.bundle, given.output), indent=1))


def write(bundle: Path, output: Path) -> list[dict[str, Any]]:
    """Write `<tower>.<kind>.blob` for each tower of the bundle's first model to `output`; returns the manifest's rows.

    Raises RuntimeError if an imported blob and the compiled tower do not give bit-identical results.
    """
    import openvino

    found = manifest.load(bundle)
    entry = found.models[0]
    engine: Any = create_engine(entry, found, Settings(bundle_dir=bundle))
    engine.load(MODALITIES)
    rows = []
    for name in MODALITIES:
        tower = engine.towers[name]
        path = output / f"{name}.{processor()}{HOST_BLOB}"
        source = bundle / "models" / entry.slug / "openvino" / f"{name}.xml"
        content = export(tower.taken.path(source), source.with_suffix(".bin"), tower.taken.settings)
        path.write_bytes(content)
        made = host_blob.HostBlob(
            path, sha256(content).hexdigest(), openvino.__version__, host_blob.settings(tower.taken.settings)
        )
        check(made, source, tower)
        rows.append({"tower": name, "processor": processor(), "openvino": made.openvino, "settings": made.settings})
    return rows


def export(graph: Path, weights: Path, config: Mapping[str, Any]) -> bytes:
    """Compile a graph with these settings, and return the compiled graph without its weights."""
    import openvino

    core = openvino.Core()
    # Read from paths and not from memory: otherwise OpenVINO does not know where in the file each matrix is.
    compiled = core.compile_model(core.read_model(graph, weights), "CPU", {**config, **host_blob.WEIGHTLESS})
    content = compiled.export_model()
    return content.getvalue() if isinstance(content, BytesIO) else bytes(content)


def check(made: host_blob.HostBlob, source: Path, tower: Any) -> None:
    """Import a blob as a start does, and compare it with the tower that was compiled."""
    import openvino

    taken = host_blob.take(made, openvino.Core(), source.with_suffix(".bin"), [tower.taken.settings], lambda: None)
    if taken is None:
        raise RuntimeError(f"OpenVINO does not import what it exported of {source.name}")
    rng = np.random.default_rng(0)
    for count in (1, 3):
        feed = {}
        for port in taken.request.model_inputs:
            shape = [count, *(8 if size.is_dynamic else size.get_length() for size in list(port.partial_shape)[1:])]
            numbers = rng.standard_normal(shape) if port.element_type.is_real() else rng.integers(0, 2, shape)
            feed[port.any_name] = numbers.astype(port.element_type.to_dtype())
        if not np.array_equal(taken.request.infer(feed)[0], tower(feed)):
            raise RuntimeError(f"the host blob of {source.name} computes something else than the compiled tower")


if __name__ == "__main__":
    main()
