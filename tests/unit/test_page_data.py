"""What pages show of files and of commands that need nothing: each is read by whoever reads it in earnest."""

import hashlib
import re
import shlex
from pathlib import Path

import pytest

from console.setup.examine import PURPOSES
from infra.package import NOT_SHIPPED, read_package, tree_sha256
from layer.cli.parser import _parser, main
from layer.spec import read_spec
from tests.documents import ROOT, Block, marked
from tests.infra import fake_build

MODEL = '[[model]]\nname = "ViT-B-32"\npretrained = "openai"\n'
TOML = [
    *marked(__file__, "README.md", "toml"),
    *marked(__file__, "docs/engines.md", "toml"),
    *marked(__file__, "docs/models.md", "toml"),
    *marked(__file__, "docs/packaging.md", "toml"),
    *marked(__file__, "docs/quality.md", "toml"),
]


@pytest.mark.parametrize("block", TOML, ids=lambda block: f"{block.page}:{block.line}")
def test_a_models_toml_is_one_that_the_builder_reads(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    text = block.text
    path.write_text(text if "[[model]]" in text else f"{text}\n{MODEL}", encoding="utf-8")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "epoch_10.pt").touch()
    read = read_spec(path)
    assert read.models
    assert len(read.models) == max(text.count("[[model]]"), 1)


def test_the_package_json_is_one_that_the_deployment_reads(tmp_path: Path) -> None:
    [block] = marked(__file__, "docs/packaging.md", "json")
    build = fake_build.write(tmp_path / "build", extras=())
    manifest = (build / "bundle" / "manifest.json").read_bytes()
    digests = {
        "<of the bundle's manifest.json>": hashlib.sha256(manifest).hexdigest(),
        "<of the tree handler/>": tree_sha256(ROOT / "handler", NOT_SHIPPED),
    }
    text = block.text
    for name, digest in digests.items():
        assert text.count(f'"{name}"') == 1
        text = text.replace(name, digest)
    (build / "package.json").write_text(text)
    assert read_package(build, ROOT / "handler").artifacts == {"image": build / "image"}


def test_the_picked_models_are_those_that_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    [block] = [block for block in marked(__file__, "docs/models.md", "") if "--pick" in block.code]
    line, _, shown = block.text.partition("\n")
    assert line.startswith("$ python -m layer ")
    assert main(shlex.split(line)[4:]) == 0
    assert capsys.readouterr().out == shown


def test_whether_a_model_fits_is_said_with_the_figures_that_the_page_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """These are of a table that comes with the project: no machine gives others."""
    [block] = [block for block in marked(__file__, "README.md", "") if "inspect" in block.code]
    line, _, shown = block.text.partition("\n")
    assert line == "$ python -m layer inspect --models models.toml"
    model = '[[model]]\nname = "ViT-B-32"\npretrained = "laion2b_s34b_b79k"\n'
    (tmp_path / "models.toml").write_text(f'[target]\npackage = "layer"\n{model}')
    assert main(["inspect", "--models", str(tmp_path / "models.toml"), "--cache", str(tmp_path)]) == 0
    assert capsys.readouterr().out == shown


def test_the_doctor_takes_what_the_page_says() -> None:
    usages = [block for block in marked(__file__, "docs/models.md", "") if "--pick" not in block.code]
    for block in usages:
        usage = block.text.strip().removeprefix("python -m layer ")
        choices = re.search(r"<(.+)>|\[(--for) (.+)\]", usage)
        assert choices
        values = [choice.strip() for choice in (choices[1] or choices[3]).split("|")]
        if choices[2]:
            assert values == list(PURPOSES)
        for value in values:
            found = f"{choices[2]} {value}" if choices[2] else shlex.quote(value)
            _parser().parse_args(shlex.split(usage.replace(choices[0], found)))


def test_contributors_run_what_ci_runs() -> None:
    [block] = marked(__file__, "CONTRIBUTING.md")
    command = block.text.partition("#")[0].strip()
    assert f"\n{command}\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
