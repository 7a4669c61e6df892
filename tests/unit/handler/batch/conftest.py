"""A folder whose first run is done, for the tests of `--changes`."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handler.batch import command, shard
from handler.batch.reader import FolderReader, Found
from handler.batch.rows import Row
from handler.batch.store import Directory
from tests.unit.batch_world import newest, png
from tests.unit.fake_bundle import FakeFunction


class Folder:
    """A folder and its output, embedded by the engine of tests/unit/fake_bundle.py, in this process."""

    def __init__(self, root: Path) -> None:
        self.photos, self.output, self._bundle = root / "photos", root / "out", root / "bundle"
        self.photos.mkdir()
        self.read: list[str] = []
        self.stop = False

    def put(self, name: str, red: int, at: int | None = None) -> None:
        """Write an image, modified `at` seconds since 1970."""
        (self.photos / name).write_bytes(png(red))
        if at:
            os.utime(self.photos / name, (at, at))

    def outcomes(
        self, names: list[str], source: Path, output: Path, limit: float | None, _: int
    ) -> Iterator[dict[str, Any]]:
        service = FakeFunction(self._bundle).service
        reader, read = FolderReader(source, service.settings.max_object_bytes), self.read

        class Reader:
            def read(self, row: Row, room: int) -> Found:
                read.append(row.key)
                return reader.read(row, room)

        model, digest = service.model(None), service.models.vectors_sha256()
        work = shard.Work(model, digest, service.settings, Reader(), Directory(output))
        for name in names:
            if self.stop:
                raise KeyboardInterrupt
            try:
                yield shard.run(name, work, limit)
            except shard.ShardError as error:
                yield {"error": str(error)}

    def run(self, *options: str) -> int:
        self.read.clear()
        return command.main([str(self.photos), "--output", str(self.output), *options])

    def found(self) -> dict[str, list[float]]:
        return newest(self.output)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    made = Folder(tmp_path)
    FakeFunction(tmp_path / "bundle")
    monkeypatch.setenv("OPENCLIP_BUNDLE_DIR", str(tmp_path / "bundle"))
    monkeypatch.setattr(command, "outcomes", made.outcomes)
    for number in range(6):
        made.put(f"{number}.png", number, 1_700_000_000)
    assert made.run() == 0
    return made
