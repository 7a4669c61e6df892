"""The pages' commands on prepared caches, with a small model on a hub of this machine in the large one's place."""

import shutil
from collections.abc import Iterator

import pytest

from tests.documents import Block, marked
from tests.hub import repositories
from tests.hub.prepared import online
from tests.hub.server import serving
from tests.offline.test_prepared_damage import WEIGHTS, blob, snapshot
from tests.shell import Shell
from tests.transcript import commands, difference

NAME, TINY = "ViT-B-16-SigLIP-i18n-256", "hf-hub:acme/tiny"
SPEC = f'[[model]]\nname = "{TINY}"\nengine = "torch"\nprecision = "fp32"\n'
README = marked(__file__, "README.md")
PREPARED = marked(__file__, "docs/prepared-cache.md")
# What is printed here, and what the README's model is called there.
NAMES = {
    "models--acme--tiny": f"models--timm--{NAME}",
    "models--acme--tokenizer": f"models--timm--{NAME}",
    "acme/tiny at": f"timm/{NAME} at",
    "acme/tiny ": f"{NAME}/webli ",
}


def block(found: list[Block], part: str) -> Block:
    return next(one for one in found if part in one.code)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A directory with a models.toml, and the cache that the page's Python has made there."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "models.toml").write_text(SPEC)
    with serving() as hub:
        hub.add("acme/tiny", repositories.tiny_model(folder / "tiny", "acme/tokenizer"))
        hub.add("acme/tokenizer", repositories.tokenizer_without_config(folder / "tokenizer"))
        yield Shell(folder, online(hub, folder / "home"))


def test_the_python_of_the_readme_makes_a_cache_that_its_command_builds_from(shell: Shell) -> None:
    code = block(README, "import open_clip").text
    assert code.count(f'"{NAME}"') == 2
    small = code.replace(', pretrained="webli"', "").replace(NAME, TINY)
    # torchvision may be of another build than torch: the builder's import of open_clip bears that.
    (shell.folder / "cache.py").write_text(f"import layer.openclip\n{small}")
    shell.run("python cache.py")
    assert (shell.folder / "model_cache" / "models--acme--tiny").is_dir()
    [(line, shown)] = commands(block(README, "all hashes checked").text)
    assert not (found := difference(f"...\n{shown}", without_network(shell).run(line), NAMES)), found


def without_network(shell: Shell) -> Shell:
    """The same directory, where only the cache that was prepared is known."""
    environ = {name: value for name, value in shell.environ.items() if name != "HF_ENDPOINT"}
    return Shell(shell.folder, {**environ, "HF_HUB_OFFLINE": "1"})


def test_a_broken_link_is_told_as_the_readme_shows(shell: Shell) -> None:
    here = damaged(shell, "broken")
    blob(here.folder / "model_cache", "tokenizer.json", "tokenizer").unlink()
    here.follow(block(README, "dangling-link"), 1, names=NAMES)


def damaged(shell: Shell, name: str) -> Shell:
    """A copy of the directory, to be damaged."""
    folder = shell.folder / name
    shutil.copytree(shell.folder / "model_cache", folder / "model_cache", symlinks=True)
    (folder / "models.toml").write_text(SPEC)
    return Shell(folder, without_network(shell).environ)


def test_all_that_is_missing_is_told_as_the_page_shows(shell: Shell) -> None:
    here = damaged(shell, "missing")
    cache = here.folder / "model_cache"
    (snapshot(cache) / WEIGHTS).unlink()
    shutil.rmtree(cache / "models--acme--tokenizer")
    printed = here.run("python -m layer build --models models.toml --from model_cache", 1)
    assert not (found := difference(block(PREPARED, "error: 2 problems").text, printed)), found


def test_the_sources_of_a_build_are_named_as_the_page_says(shell: Shell) -> None:
    first, second = (line.partition("#")[0].strip() for line in block(PREPARED, "--from <directory>").text.splitlines())
    here = without_network(shell)
    shutil.copytree(snapshot(here.folder / "model_cache"), here.folder / "another-name")
    known = {"<directory>": "another-name", "<org>/<name>": "acme/tiny"}
    for name, value in known.items():
        second = second.replace(name, value)
    [(built, _)] = commands(block(README, "all hashes checked").text)  # by the first test, from the one directory
    assert set(f"{first.replace('<directory>', 'model_cache')} --models models.toml".split()) == set(built.split())
    printed = here.run(
        f"{second} --from model_cache --models models.toml --output build/second --cache build/second-cache"
    )
    assert "from another-name: acme/tiny" in printed


def test_a_cache_is_fetched_as_the_page_says(shell: Shell) -> None:
    line = block(PREPARED, "python -m layer fetch --output model_cache  ").text.partition("#")[0].strip()
    here = Shell(shell.folder / "connected", {**shell.environ, "HF_HOME": str(shell.folder / "elsewhere")})
    here.folder.mkdir()
    (here.folder / "models.toml").write_text(SPEC)
    here.run(f"{line} --models models.toml")
    assert (here.folder / "model_cache" / "openclip-cache.json").is_file()
