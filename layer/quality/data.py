"""What is measured on: images with their captions, or with their classes. Read before any model is loaded."""

import hashlib
import json
import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

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

    def sample(self, limit: int) -> "Data":
        """Return the data with at most `limit` images, drawn by a fixed seed."""
        if len(self.images) <= limit:
            return self
        kept = random.Random(SAMPLE_SEED).sample(range(len(self.images)), limit)  # noqa: S311 - a sample
        return self.only(set(kept), range(len(self.texts)))[0]

    @property
    def sha256(self) -> str:
        """The digest of what is measured: the images' bytes, the texts, and which is right for which."""
        said = [self.kind, self.digests, self.texts, self.right, self.templates]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def joined(
    kind: str, name: str, found: Iterable[tuple[Path, str]], left_out: Sequence[LeftOut], texts: Sequence[str] = ()
) -> Data:
    """Join (image, text) pairs into data: files of the same bytes are one image, equal texts one text."""
    digests: dict[Path, str | None] = {}
    images: dict[str, Path] = {}
    known = dict.fromkeys(texts)
    right: dict[tuple[str, str], None] = {}
    problems = [*left_out]
    for path, text in found:
        if path not in digests:
            digests[path], problem = _digest(path)
            problems += [problem] if problem else []
        if digest := digests[path]:
            images.setdefault(digest, path)
            known.setdefault(text)
            right.setdefault((digest, text))
    of_image, of_text = {d: place for place, d in enumerate(images)}, {t: place for place, t in enumerate(known)}
    links = tuple((of_image[digest], of_text[text]) for digest, text in right)
    name = "".join(letter if letter.isprintable() else "?" for letter in name)  # the manifest holds it
    return Data(
        kind, name, tuple(images.values()), tuple(images), tuple(known), links, tuple(problems), given=len(images)
    )


def _digest(path: Path) -> tuple[str | None, LeftOut | None]:
    try:
        if not path.is_file():
            return None, LeftOut(str(path), "is not a file" if path.exists() else "is not there")
        if (size := path.stat().st_size) > MAX_FILE:
            return None, LeftOut(str(path), f"has {size / 1e6:.0f} MB; the function reads up to {MAX_FILE / 1e6:.0f}")
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest(), None
    except (OSError, ValueError) as error:
        return None, LeftOut(str(path), f"cannot be read: {getattr(error, 'strerror', None) or error}")
