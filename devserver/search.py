"""The search beside the API on localhost: its routes over a local index, and the files that were indexed."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from handler.errors import ApiError
from handler.http.routes import Table
from handler.imaging.decode import media_type
from handler.search.backends import open_index
from handler.search.index import Index
from handler.search.lance import LanceIndex
from handler.search.routes import table
from handler.search.settings import SearchSettings

IMAGE_PATH = "/v1/search/image"  # of this server only: on AWS a hit has a presigned URL


class LocalSearch:
    """The routes of the API and the search, and the images of the folder that was indexed."""

    image_path = IMAGE_PATH

    def __init__(self, settings: SearchSettings, images: Path | None) -> None:
        self.table: Table = table(settings, beside_api=True)
        self._index: Index = open_index(settings.place)
        self._images = images.resolve() if images else None

    def image(self, query: str) -> tuple[int, dict[str, str], bytes]:
        """Answer `GET /v1/search/image?key=...`: status, headers and body."""
        try:
            data, media_type = self._file(parse_qs(query, keep_blank_values=True).get("key", [""])[-1])
        except ApiError as error:
            return error.status, {"content-type": "application/json"}, json.dumps(error.body()).encode()
        headers = {"content-type": media_type, "x-content-type-options": "nosniff", "cache-control": "no-cache"}
        return 200, headers, data

    def _file(self, key: str) -> tuple[bytes, str]:
        """Read an image that is in the index and below the folder. Raises ApiError."""
        if self._images is None:
            raise ApiError("not_found", "start the server with --images <the folder that was indexed>", "key")
        path = self._below(self._images, key)
        if path is None or not isinstance(self._index, LanceIndex) or not self._index.has("", key):
            raise ApiError("object_not_found", "no such image: give the key of a hit whose bucket is empty", "key")
        try:
            data = path.read_bytes()
        except OSError as error:  # its rights, or it was removed since it was looked for
            raise ApiError("object_not_readable", f"{key} cannot be read: {error.strerror}", "key") from error
        return data, media_type(data)

    def _below(self, folder: Path, key: str) -> Path | None:
        try:
            path = (folder / key).resolve()
            return path if path.is_relative_to(folder) and path.is_file() else None
        except (OSError, ValueError):  # a name that no file can have
            return None


def local(place: str, images: Path | None, environ: Any) -> LocalSearch:
    """Return the search over `place`. Raises SettingsError."""
    return LocalSearch(SearchSettings.from_env({**environ, "OPENCLIP_INDEX": place}), images)
