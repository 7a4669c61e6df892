"""Download a large file from Xet, the hub's chunked storage, with huggingface_hub's client, if both support it."""

import sys
from importlib.util import find_spec
from pathlib import Path

from layer.errors import UnreachableError
from layer.network import environment
from layer.network.refusals import one_line

MIN_BYTES = 10 << 20  # a smaller file is not worth the questions


def download(url: str, target: Path, size: int | None, headers: dict[str, str]) -> bool:
    """Write the file at a URL to `target`, a new file, without checking it; return False if Xet is not available.

    The token is sent only to the hub, whatever address the hub's response names.
    """
    import httpx2
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.file_download import get_hf_file_metadata, xet_get
    from huggingface_hub.utils._xet import refresh_xet_connection_info

    if constants.HF_HUB_DISABLE_XET or find_spec("hf_xet") is None or size is None or size < MIN_BYTES:
        return False
    try:
        offered = get_hf_file_metadata(url, token=False, headers=headers).xet_file_data
        if offered is None or not offered.refresh_route.startswith(f"{environment.endpoint()}/"):
            return False
        _reach(refresh_xet_connection_info(file_data=offered, headers=headers).endpoint)
        xet_get(incomplete_path=target, xet_file_data=offered, headers=headers, expected_size=size)
        return target.stat().st_size == size
    except (HfHubHTTPError, httpx2.HTTPError, UnreachableError, OSError, RuntimeError, ValueError) as error:
        print(f"note: by HTTP, since Xet failed: {one_line(str(error))}", file=sys.stderr)
        target.unlink(missing_ok=True)
        return False


def _reach(storage: str) -> None:
    """Raise UnreachableError if a host of Xet's does not answer within seconds: its client would try for minutes."""
    import httpx2

    environment.check_name(storage)
    try:
        environment.client().head(storage)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise UnreachableError(f"{environment.without_password(storage)} cannot be reached ({reason})") from error


def abort() -> None:
    """End every download that is under way, as for Ctrl-C: it would be waited for to its end."""
    from huggingface_hub.utils._xet import abort_xet_session

    abort_xet_session()
