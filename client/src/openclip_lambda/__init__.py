"""A client for the deployed API: images and texts in, embeddings or label scores out, for one or for thousands.

`Client` and `AsyncClient` are the library, `openclip-lambda` is the command.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openclip_lambda.client import AsyncClient, Client
    from openclip_lambda.errors import (
        BusyError,
        ClientError,
        CredentialsError,
        InputError,
        RequestError,
        ResponseError,
        ServerError,
    )

__version__ = "0.2.0"
__all__ = [
    "AsyncClient", "BusyError", "Client", "ClientError", "CredentialsError", "InputError", "RequestError",
    "ResponseError", "ServerError",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import what is asked for: the command's `--help` need not wait for httpx."""
    if name in ("AsyncClient", "Client"):
        from openclip_lambda import client

        return getattr(client, name)
    if name in __all__:
        from openclip_lambda import errors

        return getattr(errors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
