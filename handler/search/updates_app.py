"""Lambda's entry point of the index updates: a batch of SQS messages, each EventBridge's event of one new file."""

from handler import offline  # noqa: F401, I001 - before all else: libraries freeze their network settings when imported

import functools
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from handler import manifest
from handler.batch.reader import make_client
from handler.batch.store import Bucket
from handler.search import updates
from handler.search.backends import open_index
from handler.search.index import Index
from handler.search.records import About
from handler.search.settings import SearchSettings
from handler.service import vectors_sha256
from handler.settings import Settings

# What a rebuild makes good, and no second try does: an index of another bundle is built again from all files.
NOT_NOW = ("index_of_another_model",)


def lambda_handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Bring the named files into the index; returns the messages that have to be tried again.

    Files may come twice, late and in any order: the index keeps the latest look of a key.
    """
    place = SearchSettings.from_env(os.environ).place
    return run(
        event["Records"], Bucket(make_client(), os.environ["OPENCLIP_BATCH_OUTPUT"]), open_index(place), _about()
    )


def run(records: Sequence[Mapping[str, Any]], store: updates.Readable, index: Index, about: About) -> dict[str, Any]:
    """Apply what the messages name, to an index that is made where there is none: `about` is of this bundle.

    A message that names no file goes back, and to the dead-letter queue in the end.
    """
    names: dict[str, list[str]] = {}  # the messages by the file
    failed = []
    for record in records:
        try:
            name = str(json.loads(record["body"])["detail"]["object"]["key"])
            names.setdefault(name, []).append(record["messageId"])
        except (ValueError, KeyError, TypeError):
            failed.append(record["messageId"])
    for name in _apply(names, store, index, about):
        failed += names[name]
    print(json.dumps({"index_updates": {"files": len(names), "returned": len(failed)}}))
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}


def _apply(names: Iterable[str], store: updates.Readable, index: Index, about: About) -> list[str]:
    """Apply all files at once, or each by itself where that fails; returns those that have to be tried again."""
    try:
        index.prepare(about)
        updates.apply(store, names, index)
    except Exception:  # noqa: BLE001 - which of them it is of, and why, is told by _applied
        return [name for name in names if not _applied(name, store, index)]
    return []


def _applied(name: str, store: updates.Readable, index: Index) -> bool:
    """Tell whether a file is done with."""
    try:
        updates.apply(store, [name], index)
    except FileNotFoundError:
        return True  # small files were put together meanwhile: the rows are in another one
    except Exception as error:  # noqa: BLE001 - whatever it is, the other files of the batch are applied
        code = getattr(error, "code", type(error).__name__)
        print(json.dumps({"index_update_failed": {"file": name, "code": code, "message": str(error)}}))
        return code in NOT_NOW
    return True


@functools.cache
def _about() -> About:
    settings = Settings.from_env(os.environ)
    ours = manifest.load(settings.bundle_dir)
    entry = ours.model(None)
    return About(entry.id, vectors_sha256(settings), settings.of_vectors, entry.embed_dim)
