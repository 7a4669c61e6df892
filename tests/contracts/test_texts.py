"""The playground's texts: one table for each language, with the same keys, and each key is used."""

import json
import re
from pathlib import Path

from handler.endpoints import pages
from tests.contracts.agreement import agree

TABLES = {
    f"texts.{name}.json": json.loads((pages.FOLDER / f"texts.{name}.json").read_text(encoding="utf-8"))
    for name in pages.LANGUAGES
}
SOURCES = "\n".join(
    path.read_text(encoding="utf-8") for path in sorted(pages.FOLDER.iterdir()) if path.suffix in (".js", ".html")
)


def test_each_language_has_the_same_texts_with_the_same_places() -> None:
    agree("texts of the playground", {name: sorted(table) for name, table in TABLES.items()})
    agree(
        "places in the playground's texts",
        {
            name: {key: sorted(re.findall(r"\{\w+\}", text)) for key, text in table.items()}
            for name, table in TABLES.items()
        },
    )


def test_each_text_is_said_and_what_is_said_is_there() -> None:
    table = set(TABLES["texts.en.json"])
    named = set(re.findall(r'data-(?:text|label|example)="([^"]+)"', SOURCES))
    quoted = set(re.findall(r'"([a-z][a-z.-]*)"', SOURCES))
    begun = re.findall(r"`([a-z.]+\.)\$\{", SOURCES)  # as none.${activation}
    assert named - table == set()
    assert {key for key in table - named - quoted if not key.startswith(tuple(begun))} == set()


def test_every_file_of_the_pages_is_sent() -> None:
    sent = {*pages.STYLES, *pages.SCRIPTS, *TABLES, "index.html", "docs.css", "docs.js"}
    assert {path.name for path in Path(pages.FOLDER).iterdir() if path.is_file()} == sent
