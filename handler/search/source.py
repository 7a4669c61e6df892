"""Read what a batch wrote: Parquet files of vectors, and lists of deleted objects. As columns, not single records."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from handler.batch.rows import read_deletions
from handler.errors import ApiError, StartError
from handler.search.lance_pointer import S3
from handler.search.lance_table import ABOUT, schema, vectors
from handler.search.records import About, Gone, Item, identity

BATCH_ROWS = 4_096  # read at once: 8 MB of vectors at 512 dimensions
TEXTS = ("bucket", "key", "etag")
TIMES = ("last_modified", "seen_at")
NUMBERS = ("size", "width", "height")
NEEDED = {*TEXTS, *TIMES, *NUMBERS, "vector"}
NOTHING = About("", "", {}, 1)


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
        """List the files in order: `vectors/*/*/*.parquet` and `deletions/*/*/*.jsonl`.

        Without keys that pyarrow cannot ask for, as `vectors//a/b.parquet`: no batch wrote them. Raises SourceError.
        """
        from pyarrow import fs

        found = []
        for folder, ending in (("vectors", ".parquet"), ("deletions", ".jsonl")):
            listed = self._files.get_file_info(fs.FileSelector(folder, allow_not_found=True, recursive=True))
            try:
                names = [info.path for info in listed if info.type == fs.FileType.File]
            except UnicodeDecodeError as error:
                raise SourceError(f"{folder} of {self.place} has a name that is not UTF-8: rename it") from error
            found += sorted(name for name in names if name.endswith(ending) and _has_four_parts(name))
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
            raise self._unreadable(error) from error
        self._columns = self._parquet.schema_arrow

    def about(self) -> About:
        """Return what the file's metadata says of its vectors. Raises SourceError."""
        if wrong := [name for name in sorted(NEEDED) if self._columns.names.count(name) != 1]:
            raise SourceError(f"{self.name} does not have one column {wrong[0]}: no batch wrote it")
        dimensions = _dimensions(self._columns.field("vector").type)
        if dimensions is None:
            raise SourceError(
                f"{self.name} has a column vector that is no fixed_size_list of numbers: no batch wrote it"
            )
        try:
            fields = json.loads(self._parquet.metadata.metadata[ABOUT])
            about = About(str(fields["model"]), str(fields["manifest_sha256"]), {**fields["settings"]}, dimensions)
        except (TypeError, KeyError, ValueError, RecursionError) as error:
            raise SourceError(f"{self.name} does not say which model its vectors are of: no batch wrote it") from error
        return about

    def count(self) -> int:
        """Return the number of rows."""
        return int(self._parquet.metadata.num_rows)

    def looks(self) -> Iterator[Looks]:
        """Yield the keys with their looks, without the vectors."""
        for batch in self._batches(("bucket", "key", "etag", "seen_at")):
            ids = [identity(*pair) for pair in zip(batch["bucket"].to_pylist(), batch["key"].to_pylist(), strict=True)]
            yield Looks(ids, batch["seen_at"].to_numpy(), batch["etag"].to_pylist())

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
            columns = {name: batch[name].to_pylist() for name in (*TEXTS, *TIMES, *NUMBERS)}
            matrix = self._unit(batch, about.dimensions)
            yield [
                Item(vector=matrix[row], **{name: values[row] for name, values in columns.items()})
                for row in range(batch.num_rows)
            ]

    def _batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield these columns of some rows, each as the index has it; of `vector` see _unit. Raises SourceError."""
        import pyarrow as pa

        try:
            for batch in self._parquet.iter_batches(BATCH_ROWS, columns=list(columns)):
                yield pa.RecordBatch.from_arrays([self._column(batch[name], name) for name in columns], list(columns))
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from error

    def _column(self, column: Any, name: str) -> Any:
        import pyarrow as pa

        if name == "vector":
            return column
        if column.null_count:
            raise SourceError(f"{self.name} has rows without {name}: no batch wrote it")
        try:
            known = column.cast(pa.timestamp("ms", tz="UTC")) if name in TIMES else column
            return known.cast(schema(NOTHING).field(name).type)
        except pa.ArrowException as error:
            raise SourceError(f"{self.name}: its column {name} cannot be taken ({error}): no batch wrote it") from error

    def _unreadable(self, error: Exception) -> Exception:
        if isinstance(error, FileNotFoundError):
            return error
        return SourceError(
            f"{self.name} is no Parquet file, or cannot be read now ({error}): try again; if it stays so, remove it "
            "and embed its shard again"
        )

    def _as_rows(self, batch: Any, about: About) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = schema(about)
        present = np.zeros(batch.num_rows, bool)
        made = {
            "id": pc.binary_join_element_wise(batch["bucket"], batch["key"], "/"),
            "gone": pa.array(present),
            "vector": vectors(self._unit(batch, about.dimensions), present),
        }
        columns = [made[name] if name in made else batch[name] for name in wanted.names]
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


def _has_four_parts(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 4 and not {"", ".", ".."} & set(parts)


def deletions(name: str, data: bytes) -> list[Gone]:
    """Read a file of deletions: bucket, key and seen_at a line. Raises SourceError."""
    try:
        return [Gone(*facts) for facts in read_deletions(data)]
    except ValueError as error:
        raise SourceError(f"{name}, {error}: no batch wrote it") from error


def same(abouts: dict[str, About]) -> About:
    """Return what all of these files are of. Raises ApiError index_of_another_model where they differ."""
    name, about = next(iter(abouts.items()))
    for other, its in abouts.items():
        if its[:2] != about[:2] or its.dimensions != about.dimensions:
            raise ApiError(
                "index_of_another_model", f"{name} and {other} have vectors of two models: index one of them"
            )
    return about


def _dimensions(kind: Any) -> int | None:
    """Return how many numbers a column's vectors have; None where they are no vectors of one length."""
    from pyarrow import types

    if not types.is_fixed_size_list(kind) or not (
        types.is_floating(kind.value_type) or types.is_integer(kind.value_type)
    ):
        return None
    return int(kind.list_size)


def _mask(marked: NDArray[np.bool_]) -> Any:
    import pyarrow as pa

    return pa.array(marked)
