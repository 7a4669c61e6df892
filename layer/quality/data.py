"""What is measured on: images with their captions, or with their classes. Read before any model is loaded."""

import hashlib
import json
import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from layer.progress import bar

MAX_FILE = 25_000_000  # bytes of an image: what the function reads of one object by default
SAMPLE_SEED = 0


@dataclass(frozen=True)
class LeftOut:
    """Something that cannot be used, and why; the rest is measured without it."""

    what: str
    reason: str


@dataclass(frozen=True)
class Data:
    """Images, texts, and which text is right for which image.

    `kind` is "pairs" (texts are captions) or "labels" (texts are classes, each the mean of its prompts). `right` are
    pairs of places: an image, a text. No two images have the same bytes, and no two texts are equal: what was equal is
    one, with every right answer of all.
    """

    kind: str
    name: str
    images: tuple[Path, ...]
    digests: tuple[str, ...]  # sha256 of the images
    texts: tuple[str, ...]
    right: tuple[tuple[int, int], ...]
    left_out: tuple[LeftOut, ...] = ()
    templates: tuple[str, ...] = ("{}",)
    given: int = 0  # images that can be used, of which a sample may be measured

    def only(self, images: Collection[int], texts: Collection[int]) -> "tuple[Data, list[int], list[int]]":
        """Return the data of some images and texts, and the places of those that are left.

        What has no right answer then is gone too; classes stay, since an image may be taken for them.
        """
        right = [(i, t) for i, t in self.right if i in images and t in texts]
        seen = sorted({i for i, _ in right})
        said = sorted({t for _, t in right} if self.kind == "pairs" else texts)
        new_image, new_text = {old: new for new, old in enumerate(seen)}, {old: new for new, old in enumerate(said)}
        kept = replace(
            self,
            images=tuple(self.images[old] for old in seen),
            digests=tuple(self.digests[old] for old in seen),
            texts=tuple(self.texts[old] for old in said),
            right=tuple((new_image[i], new_text[t]) for i, t in right),
        )
        return kept, seen, said

    @property
    def sha256(self) -> str:
        """The digest of what is measured: the images' bytes, the texts, and which is right for which."""
        said = [self.kind, self.digests, self.texts, self.right, self.templates]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def joined(
    kind: str,
    name: str,
    found: Iterable[tuple[Path, str]],
    left_out: Sequence[LeftOut],
    texts: Sequence[str] = (),
    limit: int | None = None,
) -> Data:
    """Join (image, text) pairs into data: files of the same bytes are one image, equal texts one text.

    Of more than `limit` files a sample is taken, the same one each time, and no other images are read. `given` then
    counts files of the same bytes one by one.
    """
    pairs = [*found]
    problems = {path: _problem(path) for path, _ in pairs}
    there = [path for path, problem in problems.items() if problem is None]
    if limit is not None and len(there) > limit:
        random.Random(SAMPLE_SEED).shuffle(there)  # noqa: S311 - a sample
    digests, left = _hashed(there, problems, len(there) if limit is None else min(limit, len(there)))
    images: dict[str, Path] = {}
    known = dict.fromkeys(texts)
    right: dict[tuple[str, str], None] = {}
    for path, text in pairs:
        if digest := digests.get(path):
            images.setdefault(digest, path)
            known.setdefault(text)
            right.setdefault((digest, text))
    of_image, of_text = {d: place for place, d in enumerate(images)}, {t: place for place, t in enumerate(known)}
    links = tuple((of_image[digest], of_text[text]) for digest, text in right)
    name = "".join(letter if letter.isprintable() else "?" for letter in name)  # the manifest holds it
    told = (*left_out, *(problem for problem in problems.values() if problem))
    given = len(digests) + left if left else len(images)
    return Data(kind, name, tuple(images.values()), tuple(images), tuple(known), links, told, given=given)


def _hashed(paths: Sequence[Path], problems: dict[Path, LeftOut | None], limit: int) -> tuple[dict[Path, str], int]:
    """Hash files in their order until `limit` of them differ; return the digests, and how many files are left over."""
    digests: dict[Path, str] = {}
    different: set[str] = set()
    with bar("hashing images", limit, unit="image") as shown:
        for number, path in enumerate(paths):
            if len(different) == limit:
                return digests, len(paths) - number
            before = len(different)
            try:
                with path.open("rb") as stream:
                    digests[path] = hashlib.file_digest(stream, "sha256").hexdigest()
                different.add(digests[path])
            except OSError as error:
                problems[path] = _unreadable(path, error)
            shown.update(1 if limit == len(paths) else len(different) - before)
    return digests, 0


def _problem(path: Path) -> LeftOut | None:
    """Say why a file cannot be used, as far as its size and kind tell."""
    try:
        if not path.is_file():
            return LeftOut(str(path), "is not a file" if path.exists() else "is not there")
        if (size := path.stat().st_size) > MAX_FILE:
            return LeftOut(str(path), f"has {size / 1e6:.0f} MB; the function reads up to {MAX_FILE / 1e6:.0f}")
    except (OSError, ValueError) as error:
        return _unreadable(path, error)
    return None


def _unreadable(path: Path, error: Exception) -> LeftOut:
    return LeftOut(str(path), f"cannot be read: {getattr(error, 'strerror', None) or error}")
