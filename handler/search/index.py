"""The interface of an index, whichever product stores it, and the errors that all of them raise."""

import os
from collections.abc import Sequence
from typing import Protocol

from handler.errors import ApiError
from handler.search.records import About, Gone, Hit, Item, Vector, Where, comparable, differing, told

MAX_K = 1_000
S3_VECTORS = "s3vectors:"  # what the place of such an index begins with


class Index(Protocol):
    """An index of one model's vectors. Several may write at once, in any order, and again: the result is the same."""

    place: str  # as OPENCLIP_INDEX has it
    max_k: int  # hits of one query
    filters: tuple[str, ...]  # the fields of Where that it takes

    def prepare(self, about: About) -> None:
        """Make the index where there is none yet. Raises ApiError index_of_another_model, index_unavailable."""

    def put(self, items: Sequence[Item], about: About) -> None:
        """Add or replace. An older look never replaces a newer one.

        `about` says what made the vectors: without settings where no image was embedded. Raises ApiError
        index_of_another_model, also where the index was switched to another one since `prepare`; index_unavailable.
        """

    def delete(self, gone: Sequence[Gone]) -> None:
        """Remove, and remember when: a put of an older look does not bring a key back."""

    def query(
        self, vector: Vector, about: About, k: int, where: Where | None = None, with_vectors: bool = False
    ) -> list[Hit]:
        """Return the `k` nearest by cosine, best first; with `where`, the nearest of those that it lets through.

        `about` says what made the vector: raises ApiError as `put` does.
        """

    def count(self) -> int:
        """Return how many can be found."""

    def counts(self) -> tuple[int, int]:
        """Return how many can be found, and how many are gone."""

    def about(self) -> About:
        """Say what the vectors are of. Raises ApiError index_not_found, index_unavailable."""


def rebuild_command(place: str, upright: bool | None = None) -> str:
    """Return the command that fills an index from the vectors of a batch: the deployment's, where it names one.

    `upright` chooses images by their `exif_orientation`, as a deployment's does by itself.
    """
    choice = "" if upright is None else f" --exif-orientation {str(upright).lower()}"
    by_hand = f"python -m handler.search rebuild --vectors <directory or s3://bucket> --index {place}{choice}"
    return os.environ.get("OPENCLIP_SEARCH_REBUILD") or by_hand


def not_found(place: str) -> ApiError:
    """The error where there is no index."""
    return ApiError(
        "index_not_found",
        f"there is no index at {place}: build it with `{rebuild_command(place)}`, put something with POST /v1/index, "
        "or correct OPENCLIP_INDEX",
    )


def check_same(theirs: About, ours: About, place: str, what: str = "this function embeds with") -> None:
    """Raise ApiError index_of_another_model where vectors of `ours` cannot be compared with the index's."""
    if comparable(theirs, ours):
        return
    if theirs[:2] == ours[:2]:
        names = differing(theirs.settings, ours.settings)
        command = rebuild_command(place, ours.settings.get("exif_orientation"))
        raise ApiError(
            "index_of_another_model",
            f"the index at {place} has images embedded with {told(theirs.settings, names)}, and {what} "
            f"{told(ours.settings, names)}: vectors of both cannot be compared. Set it back, or embed the images anew "
            f"with this setting and build the index again: `{command}`",
        )
    again = f"Embed the images with this bundle and build the index again: `{rebuild_command(place)}`"
    if place.startswith(S3_VECTORS):  # no rebuild replaces it
        again = "In S3 Vectors each bundle has an index of its own: name this bundle's, which its deployment makes"
    raise ApiError(
        "index_of_another_model",
        f"the index at {place} has vectors of {theirs.model} ({theirs.manifest_sha256[:12]}), and {what} "
        f"{ours.model} ({ours.manifest_sha256[:12]}): vectors of two bundles cannot be compared. {again}",
        "model",
    )
