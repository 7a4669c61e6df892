"""A prepared source whose texts git gave the line ends of Windows."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from layer.errors import SourceError
from layer.sources.download import gather
from layer.sources.prepared.places import Place
from layer.sources.prepared.search import Prepared
from tests.hub import prepared, repositories
from tests.hub.odd import forget
from tests.hub.server import serving
from tests.offline.test_prepared_damage import TINY, named


@pytest.mark.parametrize("left", ["the clone", "its files, and models.lock"])
def test_a_clone_whose_texts_git_gave_line_ends_of_windows_is_named_with_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    with serving() as hub:
        forget(monkeypatch)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.add("acme/tiny", repositories.tiny_model(tmp_path / "tiny", "acme/tokenizer"))
        hub.add("acme/tokenizer", repositories.tokenizer_without_config(tmp_path / "tokenizer"))
        clones = prepared.by_git(hub, tmp_path / "clones")
        [sources] = gather([TINY], tmp_path / "build", {})
    pins = {TINY.id: tuple(source.locked() for source in sources)} if left != "the clone" else {}
    [config] = clones.rglob("tokenizer.json")
    git = ["git", "-C", str(config.parent), "-c", "core.autocrlf=true", "checkout", "--", config.name]
    config.unlink()
    subprocess.run(git, check=True)
    assert b"\r\n" in config.read_bytes()
    if pins:
        for folder in list(clones.rglob(".git")):
            shutil.rmtree(folder)

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SourceError) as caught:
        gather([TINY], tmp_path / "new", pins, Prepared([Place(clones)]))

    assert named(caught.value) == {("line-ends-converted", str(config))}
    if not pins:
        [typed] = re.findall(r"core.autocrlf: (git .*)", str(caught.value))
        subprocess.run(["sh", "-c", typed], check=True)
        gather([TINY], tmp_path / "new", pins, Prepared([Place(clones)]))
