"""What a deployment says of the package of a project folder: the command, and where it has to run."""

from pathlib import Path

import pytest
from aws_cdk import App

from infra import assembly
from infra.errors import PackageError
from tests.infra import fake_build

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a user's own, in which CDK runs the app, packaged without what a batch needs."""
    folder = tmp_path / "my-search"
    folder.mkdir()
    (folder / "models.toml").touch()
    fake_build.write(folder / "build", extras=())
    monkeypatch.chdir(folder)
    hand_on(monkeypatch, batch_source="photos", build_dir=str(folder / "build"))
    return folder


def hand_on(monkeypatch: pytest.MonkeyPatch, **context: str) -> None:
    """Give the app a context as the CDK CLI hands it on."""
    monkeypatch.setattr(assembly, "App", lambda: App(context=context))


def test_a_command_for_the_package_of_a_project_is_said_with_its_place(project: Path) -> None:
    """In the checkout it packages another bundle, and the next deployment says the same."""
    with pytest.raises(PackageError) as told:
        assembly.synthesize()
    assert str(told.value).endswith(
        f"run `python -m layer package --with batch` (of the project {project}: `python -m layer` there, and `make` "
        f"with PROJECT={project})"
    )

    (project / "handler_ext").mkdir()
    (project / "handler_ext" / "__init__.py").touch()
    with pytest.raises(PackageError, match=r"`python -m layer` there with --extensions handler_ext, and `make`"):
        assembly.synthesize()


def test_in_the_checkout_nothing_is_added(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    hand_on(monkeypatch, batch_source="photos", build_dir=str(project / "build"))
    with pytest.raises(PackageError, match=r"run `python -m layer package --with batch`$"):
        assembly.synthesize()
