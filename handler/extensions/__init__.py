"""What code of your own may import: this module and nothing else of `handler`. docs/extending.md has examples.

A function whose package has `handler_ext/` imports it once, at its start. It may define these names, and no others:

    routes                            {(method, path): function(request, service) -> Response or a JSON object}
    authenticate(request)             the caller's name; raises ApiError to refuse the request
    preprocess_image(image, model)    the PIL image that is embedded instead, of any mode
    preprocess_text(text, model)      the text that is embedded instead
    metrics(request, response)        {name: number}, for the log line of the request
    PREPROCESSING                     a name for what the two preprocess_ functions do; part of `vectors_sha256`
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from handler.errors import ApiError, StartError
from handler.messages import Request, Response

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ApiError", "Model", "Request", "Response", "Service"]


class Model(NamedTuple):
    """A model of the bundle: `image_size` is height and width in pixels, `context_length` is in tokens."""

    id: str
    embed_dim: int
    image_size: tuple[int, int]
    context_length: int


class Service(Protocol):
    """What a route of your own may ask of the function."""

    @property
    def models(self) -> Sequence[Model]:
        """The bundle's models; the first is the default."""

    def embed(self, inputs: Sequence[str | bytes], model: str | None = None) -> "NDArray[np.float32]":
        """Embed texts, and images as the bytes of their files: float32 [N, D], of unit length.

        Raises ApiError as `POST /v1/embeddings` responds: too_many_items, not_an_image, model_not_found, ...
        """

    def read_json(self, request: Request) -> Any:
        """Read the request's body. Raises ApiError body_too_large, unsupported_media_type or invalid_json."""


Route = Callable[[Request, Service], Response | Mapping[str, Any]]


class ExtensionError(StartError):
    """`handler_ext` cannot be used: the function answers `not_ready`, and nothing is packaged."""


class Extension(NamedTuple):
    """A checked `handler_ext`. `preprocessing` names what its two functions do; empty where there are none."""

    folder: str
    sha256: str
    routes: Mapping[str, Mapping[str, Route]]  # by path, then by method
    authenticate: Callable[[Request], str] | None = None
    preprocess_image: Callable[[Any, Model], Any] | None = None
    preprocess_text: Callable[[str, Model], str] | None = None
    metrics: Callable[[Request, Response], Mapping[str, float]] | None = None
    preprocessing: str = ""

    @property
    def changes(self) -> list[str]:
        """The modalities whose preprocessing is changed."""
        named = {"image": self.preprocess_image, "text": self.preprocess_text}
        return [modality for modality, function in named.items() if function]


def describe(extension: Extension) -> dict[str, Any]:
    """Describe an extension, in the form of package.json and `GET /health`."""
    hooks = ("authenticate", "preprocess_image", "preprocess_text", "metrics")
    return {
        "sha256": extension.sha256,
        "routes": {path: sorted(methods) for path, methods in sorted(extension.routes.items())},
        "hooks": [name for name in hooks if getattr(extension, name)],
        "own_preprocessing": extension.changes,
        "preprocessing": extension.preprocessing or None,
    }
