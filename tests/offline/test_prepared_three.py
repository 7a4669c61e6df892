"""A model whose tokenizer and text tower's config lie in repositories beside its own, in every form of a source."""

import shutil
from pathlib import Path

import pytest

from layer.sources.download import gather
from layer.sources.prepared.places import Place
from layer.sources.prepared.search import Prepared
from layer.spec import ModelSpec
from tests.families.repositories import third_repository
from tests.hub import prepared
from tests.hub.server import serving
from tests.offline.test_prepared_cache import SMALL
from tests.offline.test_prepared_forms import FORMS, contents

THIRD = ModelSpec("hf-hub:acme/roberta-ViT-B-32", engine="torch", precision="fp32")


@pytest.fixture(scope="module")
def of_three(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model, its tokenizer and its text tower's config in three repositories, in every form."""
    root = tmp_path_factory.mktemp("three")
    with serving() as hub:
        third_repository(hub, root / "hub", SMALL)
        first = prepared.by_open_clip(hub, root / "model_cache", THIRD.name)
        for repository in (root / "model_cache-home").glob("hub/models--*"):
            shutil.copytree(repository, first / repository.name, symlinks=True, dirs_exist_ok=True)
        return prepared.every(hub, root, first)


@pytest.mark.parametrize("form", FORMS)
def test_a_model_of_three_repositories_is_found_whole_in_every_form(
    of_three: dict[str, Path], tmp_path: Path, form: str
) -> None:
    def taken(form: str) -> list[tuple[str, tuple[str, ...], dict[str, str]]]:
        [found] = gather([THIRD], tmp_path, {}, Prepared([Place(of_three[form])]))
        return [(one.repo, one.roles, contents(one)) for one in found]

    assert taken(form) == taken("open_clip")
    assert [(repo, roles) for repo, roles, _ in taken(form)] == [
        ("acme/roberta-ViT-B-32", ("weights", "config")),
        ("acme/words", ("tokenizer",)),
        ("roberta-base", ("text_config",)),
    ]
