"""Preprocessing of your own, which runs before ours, for one model."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from handler.errors import ApiError, ImageError
from handler.extensions import Extension, Model
from handler.extensions.calls import call, failed
from handler.manifest import ModelEntry
from handler.settings import Settings

if TYPE_CHECKING:
    from PIL import Image


def facts(entry: ModelEntry) -> Model:
    """Return what an extension is told of a model."""
    return Model(entry.id, entry.embed_dim, entry.image_size, entry.context_length)


class OwnPreprocessing:
    """What an extension does to an image and a text. Images come several at once, in threads.

    `as_decoded` makes of an image that is returned what comes of a file of it.
    """

    def __init__(
        self,
        extension: Extension,
        entry: ModelEntry,
        settings: Settings,
        as_decoded: "Callable[[Image.Image], Image.Image]",
    ) -> None:
        self.changes = extension.changes
        self._as_decoded = as_decoded
        self._extension = extension
        self._model = facts(entry)
        self._most_pixels, self._most_letters = settings.max_image_pixels, settings.max_body_bytes

    def image(self, image: "Image.Image") -> "Image.Image":
        """Return the image that is embedded. Raises ImageError: the extension's own, or extension_failed."""
        function = self._extension.preprocess_image
        if function is None:
            return image
        try:
            made = call(self._extension, "preprocess_image", function, image, self._model)
            self._check_image(made)
            found: Image.Image = call(self._extension, "preprocess_image", self._as_decoded, made)
        except ApiError as error:
            raise ImageError(error.code, error.message, headers=error.headers) from error
        return found

    def _check_image(self, made: Any) -> None:
        from PIL import Image

        if not isinstance(made, Image.Image):
            failed(self._extension, "preprocess_image", f"{type(made).__name__} instead of a PIL image")
        if not 0 < made.width * made.height <= self._most_pixels:
            what = f"an image of {made.width}x{made.height} pixels, of {self._most_pixels:,} at most"
            failed(self._extension, "preprocess_image", what)

    def texts(self, texts: Sequence[str], params: Sequence[str | None]) -> list[str]:
        """Return the texts that are embedded; an error names the text's place, of `params`. Raises as `text`."""
        changed = []
        for text, param in zip(texts, params, strict=True):
            try:
                changed.append(self.text(text))
            except ApiError as error:
                error.param = param
                raise
        return changed

    def text(self, text: str) -> str:
        """Return the text that is embedded. Raises ApiError: the extension's own, or extension_failed."""
        function = self._extension.preprocess_text
        if function is None:
            return text
        made = call(self._extension, "preprocess_text", function, text, self._model)
        if not isinstance(made, str):
            failed(self._extension, "preprocess_text", f"{type(made).__name__} instead of a text")
        if not made or len(made) > self._most_letters:
            failed(self._extension, "preprocess_text", f"a text of {len(made):,} letters")
        return str(made)
