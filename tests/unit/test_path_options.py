"""Options that take a path of this machine: an address is refused, of which a directory called `s3:` would be made."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from openclip_lambda.cli import main as client

from devserver import command as devserver
from layer.cli import parser as layer

ADDRESS = "s3://bucket/a"
NAMED = f"'{ADDRESS}' is an address: name a path on this machine"
LAYER = (
    *(["build", option] for option in ("--output", "--models", "--cache", "--samples")),
    *(["fetch", option] for option in ("--output", "--models", "--cache")),
    *(["package", option] for option in ("--output", "--bundle", "--cache", "--extensions")),
    *(["evaluate", option] for option in ("--bundle", "--pairs", "--labels", "--chart", "--cache")),
    *(["verify", "--bundle"], ["inspect", "--bundle"], ["inspect", "--models"], ["models", "--models"], ["init"]),
)
CLIENT = (
    ["embed", "a.png", "--output"],
    ["classify", "a.png", "--label", "a", "--output"],
    ["search", "a.npy", "text", "--html"],
    ["batch", "start", "photos", "--output"],
    ["batch", "resume", "--output"],
)


def served(arguments: Sequence[str]) -> int:
    return devserver.main([*arguments], "python -m devserver")


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        *((layer.main, words) for words in LAYER),
        *((client.main, words) for words in CLIENT),
        (served, ["--images"]),
        (served, ["--extensions"]),
    ],
)
def test_an_address_is_no_path(
    main: Callable[[Sequence[str]], int],
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SystemExit) as ended:
        main([*arguments, ADDRESS])

    assert ended.value.code == 2
    assert NAMED in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
