"""Lambda's entry point of a rebuild: invoked without an answer that anybody waits for, as its deployment says."""

from handler import offline  # noqa: F401, I001 - before all else: libraries freeze their network settings when imported

import json
import os
from typing import Any

from handler.search.backends import rebuild_index
from handler.search.settings import SearchSettings
from handler.service import vectors_sha256
from handler.settings import Settings


def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Make the index anew from all that batches of this bundle wrote with these settings; returns what it holds.

    Raises SourceError or ApiError where it cannot: an index in LanceDB then stays.
    """
    settings = Settings.from_env(os.environ)
    place = SearchSettings.from_env(os.environ).place
    vectors, ours = f"s3://{os.environ['OPENCLIP_BATCH_OUTPUT']}", vectors_sha256(settings)
    made = rebuild_index(vectors, place, ours, settings.of_vectors)._asdict()
    print(json.dumps({"rebuilt": made}))
    return made
