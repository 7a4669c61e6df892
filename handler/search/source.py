"""Read what a batch wrote: Parquet files of vectors, and lists of deleted objects. As columns, not single records."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from handler.batch.rows import read_about, read_deletions, unusable
from handler.errors import ApiError, StartError
from handler.search.lance_pointer import S3
from handler.search.lance_table import ABOUT, schema, vectors
from handler.search.names import ENDINGS, is_ours, is_utf8, listed_path
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


class Listed(NamedTuple):
    """The files of a source, and how many were left out: of the same kind, with a name that no batch writes."""

    names: list[str]
    left_out: int


class Source:
    """A directory or `s3://bucket[/prefix]` that holds `vectors/` and `deletions/`."""

    def __init__(self, place: str) -> None:
        from pyarrow import fs  # late: of the search function alone

        self.place = place
        scheme, mark, rest = place.partition("://")
        if not place or (mark and (scheme != "s3" or not rest.partition("/")[0])):  # nothing is the working directory
            raise SourceError(f"the vectors at {place!r} cannot be read: name a directory or s3://bucket[/prefix]")
        if not is_utf8(place):
            raise SourceError(
                f"the vectors at {place!r} cannot be read: the name is not UTF-8, so rename the directory"
            )
        if place.startswith(S3):
            # As a URI, in which a space is an error, and what follows a "#" or "?" is no part of the prefix.
            system, root = fs.FileSystem.from_uri(S3 + quote(place.removeprefix(S3).rstrip("/")))
        else:
            system, root = fs.LocalFileSystem(), str(Path(place).absolute())
        self._files = fs.SubTreeFileSystem(root, system)

    def listed(self) -> Listed:
        """List the files in order: `vectors/*/*/*.parquet` and `deletions/*/*/*.jsonl`. Raises SourceError."""
        from pyarrow import fs

        names, left_out = list[str](), 0
        for folder, ending in ENDINGS.items():
            infos = self._files.get_file_info(fs.FileSelector(folder, allow_not_found=True, recursive=True))
            found = [name for name in map(listed_path, (i for i in infos if i.is_file)) if name.endswith(ending)]
            ours = sorted(name for name in found if is_ours(name))
            if strange := [name for name in ours if not is_utf8(name)]:
                raise SourceError(f"{folder} of {self.place} has a name that is not UTF-8: rename {strange[0]!r}")
            names += ours
            left_out += len(found) - len(ours)
        return Listed(names, left_out)

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
            raise self._refused(f"does not have one column {wrong[0]}")
        dimensions = _dimensions(self._columns.field("vector").type)
        if dimensions is None:
            raise self._refused("has a column vector that is no fixed_size_list of numbers")
        try:
            fields = read_about((self._parquet.metadata.metadata or {}).get(ABOUT))
        except ValueError as error:
            raise self._refused("does not say which model its vectors are of") from error
        return About(fields["model"], fields["manifest_sha256"], fields["settings"], dimensions)

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
            raise self._refused(f"has rows without {name}")
        try:
            known = column.cast(pa.timestamp("ms", tz="UTC")) if name in TIMES else column
            return known.cast(schema(NOTHING).field(name).type)
        except pa.ArrowException as error:
            raise self._refused(f"has a column {name} that cannot be taken ({error})") from error

    def _unreadable(self, error: Exception) -> Exception:
        if isinstance(error, FileNotFoundError):
            return error
        return self._refused(f"is no Parquet file, or cannot be read now ({error}): try again. If that stays so")

    def _refused(self, why: str) -> SourceError:
        return SourceError(f"{self.name} {why}: {unusable(self.name)}")

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
            raise self._refused(f"has vectors of another length than {dimensions}")
        flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
        if flat.size != batch.num_rows * dimensions:
            raise self._refused("has rows without a vector")
        matrix = flat.reshape(batch.num_rows, dimensions)
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and lengths.all()):
            bad = int(np.argmin(np.where(np.isfinite(lengths[:, 0]), lengths[:, 0], 0)))
            raise self._refused(f"has a vector without a direction, of {batch['key'][bad]}")
        return np.asarray(matrix / lengths, np.float32)


def deletions(name: str, data: bytes) -> list[Gone]:
    """Read a file of deletions: bucket, key and seen_at a line. Raises SourceError."""
    try:
        return [Gone(*facts) for facts in read_deletions(data)]
    except ValueError as error:
        raise SourceError(f"{name}, {error}: {unusable(name)}") from error


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
