"""Ids of repositories, told from the paths and addresses that trainers leave in their configs."""

import json

import pytest

from layer.naming import model_names
from layer.naming.repositories import OF_TRANSFORMERS, no_repository
from layer.registry import table


@pytest.mark.parametrize(
    "name",
    [
        *(
            "/data/models/bert",
            "./tok",
            "../tok",
            "../../etc",
            "C:\\models\\bert",
            "C:/bert",
            "~/bert",
            "bert/",
            "a/../b",
        ),
        *("hf-hub:google/mt5-base", "https://huggingface.co/google/mt5-base", "local-dir:/x", "a/b/c", "a b", "x\ny"),
        *("\\\\server\\share", "file:///x", "", "a" * 200, "é/x", "a/b.pt"),
    ],
)
def test_a_path_or_an_address_is_no_repository(name: str) -> None:
    assert no_repository(name)


@pytest.mark.parametrize(
    "name", ["bert-base-uncased", "google/mt5-base", "timm/ViT-B-16-SigLIP", "facebook/xlm-v-base"]
)
def test_ids_of_repositories_pass(name: str) -> None:
    assert no_repository(name) is None


@pytest.mark.parametrize("prefix", ["", "hf-hub:"])
def test_transformers_repositories_are_answered_with_open_clips_of_the_same_weights(prefix: str) -> None:
    known = {str(row["weights"]).rstrip("/") for row in json.loads(table.TABLE.read_text())["pairs"]}
    for theirs, own in OF_TRANSFORMERS.items():
        assert own in known
        told = str(model_names.name_problem(f"{prefix}{theirs}"))
        assert f'name = "hf-hub:{own}"' in told or 'pretrained = "openai"' in told
