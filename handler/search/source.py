"""Read what a batch wrote: Parquet files of vectors, and lists of deleted objects. As columns, not single records."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from handler.errors import ApiError, StartError
from handler.search.lance_pointer import S3
from handler.search.lance_table import ABOUT, schema, vectors
from handler.search.records import About, Gone, Item, identity

BATCH_ROWS = 4_096  # read at once: 8 MB of vectors at 512 dimensions
TEXTS = ("bucket", "key", "etag")
TIMES = ("last_modified", "seen_at")
NUMBERS = ("size", "width", "height")
NEEDED = {*TEXTS, *TIMES, *NUMBERS, "vector"}


class SourceError(StartError):
    """A file of the vectors is not what a batch writes. The message names the file."""


class Looks(NamedTuple):
    """The looks of some rows, in the file's order: ids, times in milliseconds since 1970, and the etags."""

    ids: list[str]
    seen_at: NDArray[np.int64]
    etags: list[str]


class Source:
    """A directory or `s3://bucket[/prefix]` that holds `vectors/` and `deletions/`."""

    def __init__(self, place: str) -> None:
        from pyarrow import fs  # late: of the search function alone

        self.place = place
        scheme, mark, rest = place.partition("://")
        if not place or (mark and (scheme != "s3" or not rest.partition("/")[0])):  # nothing is the working directory
            raise SourceError(f"the vectors at {place!r} cannot be read: name a directory or s3://bucket[/prefix]")
        if place.encode(errors="replace").decode() != place:
            raise SourceError(
                f"the vectors at {place!r} cannot be read: the name is not UTF-8, so rename the directory"
            )
        if place.startswith(S3):
            # As a URI, in which a space is an error, and what follows a "#" or "?" is no part of the prefix.
            system, root = fs.FileSystem.from_uri(S3 + quote(place.removeprefix(S3).rstrip("/")))
        else:
            system, root = fs.LocalFileSystem(), str(Path(place).absolute())
        self._files = fs.SubTreeFileSystem(root, system)

    def names(self) -> list[str]:
        """List the files in order: `vectors/*/*/*.parquet` and `deletions/*/*/*.jsonl`."""
        from pyarrow import fs

        found = []
        for folder, ending in (("vectors", ".parquet"), ("deletions", ".jsonl")):
            listed = self._files.get_file_info(fs.FileSelector(folder, allow_not_found=True, recursive=True))
            names = [info.path for info in listed if info.type == fs.FileType.File]
            found += sorted(name for name in names if name.count("/") == 3 and name.endswith(ending))
        return found

    def read(self, name: str) -> bytes:
        """Return a file's bytes. Raises FileNotFoundError."""
        with self._files.open_input_file(name) as stream:
            return bytes(stream.read())

    def parquet(self, name: str) -> "ParquetSource":
        """Open a file of vectors. Raises FileNotFoundError, SourceError."""
        return ParquetSource(name, self._files.open_input_file(name))


class ParquetSource:
    """One file of vectors; `file` is what pyarrow can read from."""

    def __init__(self, name: str, file: Any) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.name = name
        try:
            self._parquet = pq.ParquetFile(file)
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise SourceError(
                f"{name} is no Parquet file, or cannot be read now ({error}): try again; if it stays so, remove it and "
                "embed its shard again"
            ) from error
        self._columns = self._parquet.schema_arrow

    def about(self) -> About:
        """Return what the file's metadata says of its vectors. Raises SourceError."""
        try:
            fields = json.loads(self._parquet.metadata.metadata[ABOUT])
            dimensions = self._columns.field("vector").type.list_size
            about = About(fields["model"], fields["manifest_sha256"], fields["settings"], dimensions)
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise SourceError(f"{self.name} does not say which model its vectors are of: no batch wrote it") from error
        if missing := NEEDED - set(self._columns.names):
            raise SourceError(f"{self.name} has no column {min(missing)}: no batch wrote it")
        return about

    def count(self) -> int:
        """Return the number of rows."""
        return int(self._parquet.metadata.num_rows)

    def looks(self) -> Iterator[Looks]:
        """Yield the keys with their looks, without the vectors."""
        for batch in self._batches(("bucket", "key", "etag", "seen_at")):
            ids = [identity(*pair) for pair in zip(batch["bucket"].to_pylist(), batch["key"].to_pylist(), strict=True)]
            yield Looks(ids, _milliseconds(batch["seen_at"]).to_numpy(), batch["etag"].to_pylist())

    def rows(self, about: About, kept: NDArray[np.bool_]) -> Iterator[Any]:
        """Yield the rows that `kept` [N] marks, as the index has them. Raises SourceError for a vector of no length."""
        start = 0
        for batch in self._batches(tuple(NEEDED)):
            marked = kept[start : start + batch.num_rows]
            start += batch.num_rows
            if marked.any():
                yield self._as_rows(batch.filter(_mask(marked)), about)

    def items(self) -> Iterator[list[Item]]:
        """Yield the rows as items. Raises SourceError for a vector of no length."""
        about = self.about()
        for batch in self._batches(tuple(NEEDED)):
            columns = {name: batch[name].to_pylist() for name in (*TEXTS, *NUMBERS)}
            columns |= {name: _milliseconds(batch[name]).to_pylist() for name in TIMES}
            matrix = self._unit(batch, about.dimensions)
            yield [
                Item(vector=matrix[row], **{name: values[row] for name, values in columns.items()})
                for row in range(batch.num_rows)
            ]

    def _batches(self, columns: Sequence[str]) -> Iterator[Any]:
        import pyarrow as pa

        try:
            yield from self._parquet.iter_batches(BATCH_ROWS, columns=list(columns))
        except pa.ArrowException as error:
            raise SourceError(f"{self.name} is damaged ({error}): remove it, and embed its shard again") from error

    def _as_rows(self, batch: Any, about: About) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = schema(about)
        present = np.zeros(batch.num_rows, bool)
        made = {
            "id": pc.binary_join_element_wise(batch["bucket"], batch["key"], "/"),
            "gone": pa.array(present),
            "vector": vectors(self._unit(batch, about.dimensions), present),
            **{name: _milliseconds(batch[name]) for name in TIMES},
        }
        columns = [made[name] if name in made else batch[name].cast(wanted.field(name).type) for name in wanted.names]
        return pa.RecordBatch.from_arrays(columns, schema=wanted)

    def _unit(self, batch: Any, dimensions: int) -> NDArray[np.float32]:
        """Return the vectors at unit length: an option of batches writes them as small whole numbers."""
        column = batch["vector"]
        if getattr(column.type, "list_size", None) != dimensions:
            raise SourceError(f"{self.name} has vectors of another length than {dimensions}: no batch of it wrote it")
        flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
        if flat.size != batch.num_rows * dimensions:
            raise SourceError(f"{self.name} has rows without a vector: embed its shard again")
        matrix = flat.reshape(batch.num_rows, dimensions)
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and lengths.all()):
            bad = int(np.argmin(np.where(np.isfinite(lengths[:, 0]), lengths[:, 0], 0)))
            raise SourceError(f"{self.name}: the vector of {batch['key'][bad]} has no direction: embed its shard again")
        return np.asarray(matrix / lengths, np.float32)


def deletions(name: str, data: bytes) -> list[Gone]:
    """Read a file of deletions: bucket, key and seen_at a line. Raises SourceError."""
    found = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            fields = json.loads(line)
            found.append(Gone(str(fields["bucket"]), str(fields["key"]), int(fields["seen_at"])))
        except (ValueError, KeyError, TypeError) as error:
            raise SourceError(f"{name}, line {number}: not bucket, key and seen_at: no batch wrote it") from error
    return found


def same(abouts: dict[str, About]) -> About:
    """Return what all of these files are of. Raises ApiError index_of_another_model where they differ."""
    name, about = next(iter(abouts.items()))
    for other, its in abouts.items():
        if its[:2] != about[:2] or its.dimensions != about.dimensions:
            raise ApiError(
                "index_of_another_model", f"{name} and {other} have vectors of two models: index one of them"
            )
    return about


def _milliseconds(column: Any) -> Any:
    import pyarrow as pa

    return column.cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64())


def _mask(marked: NDArray[np.bool_]) -> Any:
    import pyarrow as pa

    return pa.array(marked)
