"""The doctor on caches and images broken on purpose: each is named by its own code, and by nothing else."""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from layer.doctor.examine import examine
from layer.findings.finding import Finding

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "layer" / "demo" / "hub"
MODEL = "models--openclip-lambda--shapes-i18n"
SIGLIP, TOKENIZER = "models--acme--siglip", "models--timm--ViT-B-16-SigLIP"
COMMIT = "b" * 40


def codes(findings: list[Finding]) -> set[str]:
    return {finding.code for finding in findings}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A sound cache: the demo model, and another whose tokenizer has a repository of its own without config.json."""
    hub = tmp_path / "hub"
    shutil.copytree(DEMO, hub)
    snapshot = repository(hub, SIGLIP)
    config = {"model_cfg": {"text_cfg": {"hf_tokenizer_name": "timm/ViT-B-16-SigLIP"}}, "preprocess_cfg": {}}
    (snapshot / "open_clip_config.json").write_text(json.dumps(config))
    (snapshot / "open_clip_model.safetensors").write_bytes(bytes(2000))
    (repository(hub, TOKENIZER) / "tokenizer.json").write_text("{}")
    (repository(hub, TOKENIZER) / "open_clip_model.safetensors").write_bytes(bytes(2000))
    note = hub / TOKENIZER / ".no_exist" / COMMIT
    note.mkdir(parents=True)
    (note / "config.json").touch()
    return hub


def repository(hub: Path, name: str) -> Path:
    (hub / name / "refs").mkdir(parents=True, exist_ok=True)
    (hub / name / "refs" / "main").write_text(COMMIT)
    snapshot = hub / name / "snapshots" / COMMIT
    snapshot.mkdir(parents=True, exist_ok=True)
    return snapshot


def snapshot(hub: Path, name: str = MODEL) -> Path:
    [found] = (hub / name / "snapshots").iterdir()
    return found


def append_newline(hub: Path) -> None:
    refs = hub / MODEL / "refs" / "main"
    refs.write_text(refs.read_text() + "\n")


def dangle(hub: Path) -> None:
    (snapshot(hub) / "tokenizer.json").unlink()
    (snapshot(hub) / "tokenizer.json").symlink_to("../../blobs/never-copied")


def share_blobs(hub: Path) -> None:
    weights = snapshot(hub) / "open_clip_model.safetensors"
    (hub / "blobs").mkdir()
    weights.rename(hub / "blobs" / "abc")
    weights.symlink_to("../../../blobs/abc")


def leave_trees(hub: Path) -> None:
    (hub / MODEL / "trees").mkdir()
    listing = {"format_version": 1, "files": {"flax_model.msgpack": {"size": 3}}}
    (hub / MODEL / "trees" / f"{snapshot(hub).name}.json").write_text(json.dumps(listing))


def point(hub: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n"
    (snapshot(hub) / "open_clip_model.safetensors").write_text(pointer)


def rename_repository(hub: Path) -> None:
    (hub / TOKENIZER).rename(hub / "models--google--ViT-B-16-SigLIP")


CACHES: dict[str, Callable[[Path], object]] = {
    "refs-missing": lambda hub: shutil.rmtree(hub / MODEL / "refs"),
    "refs-newline": append_newline,
    "refs-unknown": lambda hub: (hub / MODEL / "refs" / "main").write_text("c" * 40),
    "no-snapshot": lambda hub: shutil.rmtree(hub / SIGLIP / "snapshots"),
    "dangling-link": dangle,
    "link-out-of-repository": share_blobs,
    "trees-left": leave_trees,
    "second-repository-missing": lambda hub: shutil.rmtree(hub / TOKENIZER),
    "other-repository-id": rename_repository,
    "tokenizer-missing": lambda hub: (snapshot(hub, TOKENIZER) / "tokenizer.json").unlink(),
    "no-exist-note-missing": lambda hub: shutil.rmtree(hub / TOKENIZER / ".no_exist"),
    "weights-missing": lambda hub: (snapshot(hub) / "open_clip_model.safetensors").unlink(),
    "lfs-pointer": point,
    "incomplete-download": lambda hub: (hub / MODEL / "abc.incomplete").touch(),
    "not-readable": lambda hub: (snapshot(hub) / "tokenizer.json").chmod(0o600),
}


def test_a_sound_cache_has_nothing_wrong(cache: Path) -> None:
    assert examine(str(cache)) == []
    assert examine(str(cache.parent)) == []


@pytest.mark.parametrize("code", CACHES)
def test_a_broken_cache_is_named(cache: Path, code: str) -> None:
    CACHES[code](cache)

    findings = examine(str(cache))

    assert codes(findings) == {code}
    assert all(finding.fix and str(finding.where) for finding in findings)


def pack(path: Path, folder: Path, at: str, *system: str) -> str:
    """Write a tar as `tar czf` does of a folder; with files of a system, as `docker export` does of a container."""
    with tarfile.open(path, "w:gz") as archive:
        for name in system:
            entry = tarfile.TarInfo(name)
            entry.mode = 0o600
            archive.addfile(entry)
        archive.add(folder, at)
    return str(path)


@pytest.mark.parametrize("code", CACHES)
def test_a_broken_cache_in_a_tar_is_named_as_it_is_outside(cache: Path, tmp_path: Path, code: str) -> None:
    assert examine(pack(tmp_path / "sound.tar.gz", cache, "model_cache/hub")) == []
    CACHES[code](cache)

    assert codes(examine(pack(tmp_path / "cache.tar.gz", cache, "model_cache/hub"))) == {code}


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_of_a_tar_that_breaks_off_what_came_before_is_examined(cache: Path, tmp_path: Path, ending: str) -> None:
    point(cache)
    (snapshot(cache) / "tokenizer.json").write_bytes(os.urandom(300_000))
    whole = Path(pack(tmp_path / f"cache.{ending}", cache, "hub"))
    assert codes(examine(str(whole))) == {"lfs-pointer"}

    os.truncate(whole, whole.stat().st_size - 200_000)

    assert {"lfs-pointer", "unreadable"} <= codes(examine(str(whole)))


def test_a_packed_bundle_is_to_be_unpacked(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    (bundle / "models" / "one").mkdir(parents=True)
    (bundle / "manifest.json").write_text('{"schema": 1, "models": []}')
    for at in (".", "bundle"):
        [finding] = examine(pack(tmp_path / "packed.tar.gz", bundle, at))
        assert (finding.code, finding.detail) == (
            "nothing-known",
            "this is a packed bundle: unpack it, and name its directory",
        )


def test_of_an_exported_container_the_model_and_the_function_are_examined(cache: Path, tmp_path: Path) -> None:
    system = ("etc/passwd", "etc/shadow", "root/.netrc")
    exported = pack(tmp_path / "container.tar.gz", cache, "opt/hub", *system)
    unreadable = pack(tmp_path / "unreadable.tar.gz", cache, "opt/hub", *system, "var/task/app.py")

    assert examine(exported) == []
    [finding] = examine(unreadable)
    assert finding.code == "not-readable"
    assert "var/task/app.py" in finding.detail


GOOD = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": "/opt/hub", "PATH": "/usr/bin"}
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "offline-unset": {"HF_HUB_CACHE": "/opt/hub"},
    "offline-in-quotes": {**GOOD, "HF_HUB_OFFLINE": "”1”"},
    "offline-overridden": {**GOOD, "HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "1"},
    "offline-not-true": {**GOOD, "HF_HUB_OFFLINE": "enabled"},
    "offline-wrong-variable": {"HF_HUB_CACHE": "/opt/hub", "HF_DATASETS_OFFLINE": "1"},
    "cache-elsewhere": {**GOOD, "HF_HUB_CACHE": "/models/hub"},
    "writes-outside-tmp": {**GOOD, "MPLCONFIGDIR": "/var/task/mpl"},
    "more-threads-than-processors": {**GOOD, "OMP_NUM_THREADS": "40", "MKL_NUM_THREADS": "6"},
}


def save_image(path: Path, environ: dict[str, str], place: Path, at: str, **index: object) -> Path:
    """Write what `docker save` writes of an image of two layers: one with a cache, one that takes a file away again."""
    layers = {"one.tar": io.BytesIO(), "two.tar": io.BytesIO()}
    with tarfile.open(fileobj=layers["one.tar"], mode="w") as layer:
        layer.add(place, at)
        layer.addfile(tarfile.TarInfo("etc/shadow"))
        junk = tarfile.TarInfo(f"{at}/{MODEL}/left.incomplete")
        junk.mode = 0o600
        layer.addfile(junk)
    with tarfile.open(fileobj=layers["two.tar"], mode="w") as layer:
        layer.addfile(tarfile.TarInfo(f"{at}/{MODEL}/.wh.left.incomplete"))
    config = {"config": {"Env": [f"{name}={value}" for name, value in environ.items()], "User": ""}}
    files = {
        "manifest.json": json.dumps([{"Config": "config.json", "Layers": list(layers)}]).encode(),
        "config.json": json.dumps(config).encode(),
        "index.json": json.dumps(index).encode(),
        **{name: stream.getvalue() for name, stream in layers.items()},
    }
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_a_sound_image_has_nothing_wrong(cache: Path, tmp_path: Path) -> None:
    assert examine(str(save_image(tmp_path / "image.tar", GOOD, cache, "opt/hub"))) == []


@pytest.mark.parametrize("code", ENVIRONMENTS)
def test_an_images_environment_is_named(cache: Path, tmp_path: Path, code: str) -> None:
    image = save_image(tmp_path / "image.tar", ENVIRONMENTS[code], cache, "opt/hub")

    assert codes(examine(str(image))) == {code}


def test_an_image_with_its_cache_in_roots_home_or_with_attestations_is_named(cache: Path, tmp_path: Path) -> None:
    at = "root/.cache/huggingface/hub"
    home = save_image(tmp_path / "home.tar", {"HF_HUB_OFFLINE": "1"}, cache, at)
    note = {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    attested = save_image(tmp_path / "attested.tar", GOOD, cache, "opt/hub", manifests=[note])

    assert codes(examine(str(home))) == {"cache-in-roots-home"}
    assert codes(examine(str(attested))) == {"image-with-attestations"}
