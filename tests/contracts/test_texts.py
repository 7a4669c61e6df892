"""The playground's texts: one table for each language, with the same keys, and each key is used."""

import json
import re
from pathlib import Path

import pytest

from handler.endpoints import pages
from tests.contracts.agreement import agree

TABLES = {
    f"texts.{name}.json": json.loads((pages.FOLDER / f"texts.{name}.json").read_text(encoding="utf-8"))
    for name in pages.LANGUAGES
}
SOURCES = "\n".join(
    path.read_text(encoding="utf-8") for path in sorted(pages.FOLDER.iterdir()) if path.suffix in (".js", ".html")
)

# Models of open_clip's registry, and what their authors say they were trained on.
TRAINED = {
    "openclip-lambda/shapes-i18n": "shapes",
    "ViT-B-32/laion2b_s34b_b79k": "english",
    "ViT-B-16-SigLIP-256/webli": "english",
    "timm/ViT-B-16-SigLIP": "english",
    "ViT-B-16-SigLIP-i18n-256/webli": "many",
    "ViT-B-16-SigLIP2-256/webli": "many",
    "xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k": "many",
    "laion/CLIP-ViT-H-14-frozen-xlm-roberta-large-laion5B-s13B-b90k": "many",
    "nllb-clip-base-siglip/v1": "many",
    "ViT-H-14-worldwide/metaclip2_worldwide": "many",
    "ViT-B-16/openai": "english",
    "MobileCLIP-S1/datacompdr": "english",
    "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224": "medical",
    "acme/shoes": None,
}


@pytest.mark.parametrize("name", TRAINED)
def test_what_a_model_knows_is_said_by_its_name(name: str) -> None:
    table = (pages.FOLDER / "models.js").read_text(encoding="utf-8")
    rules = re.findall(r'\[/(.+)/(i?), "knows\.(\w+)"\]', table)
    assert len(rules) == 4
    fitting = [
        key for rule, any_case, key in rules if re.search(rule.replace("\\/", "/"), name, re.I if any_case else 0)
    ]
    assert (fitting or [None])[0] == TRAINED[name]


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
