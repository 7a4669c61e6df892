"""Files of a repository that nothing may read: one line each, before any library opens them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from layer.bundle import sandbox
from layer.errors import CheckpointError
from layer.sources.fetch import Fetched
from layer.spec import ModelSpec
from layer.tensor_shapes.compare import refuse_unfit
from tests.hub import repositories

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 3\n"
MODEL = ModelSpec("hf-hub:acme/tiny")
Change = Callable[[Path, Path], object]


def fetched(repo: str, folder: Path, roles: tuple[str, ...]) -> Fetched:
    return Fetched(repo, "0" * 40, roles, None, tuple(sorted(path.name for path in folder.iterdir())), folder)


def pointer(name: str) -> Change:
    return lambda model, text: ((model if name.startswith("open_clip") else text) / name).write_text(POINTER)


def tokenizer_config(**fields: object) -> Change:
    def change(_: Path, text: Path) -> None:
        path = text / "tokenizer_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return change


def script(model: Path, _: Path) -> None:
    (model / "open_clip_model.safetensors").unlink()
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(model / "open_clip_pytorch_model.bin"))


CASES: dict[str, tuple[str, Change]] = {
    "weights that git left out": ("git lfs pull", pointer("open_clip_model.safetensors")),
    "a config that git left out": ("git lfs pull", pointer("open_clip_config.json")),
    "a tokenizer that git left out": ("git lfs pull", pointer("tokenizer.json")),
    "TorchScript": ("TorchScript archive, which runs code", script),
    "a tokenizer of code": (
        "is code of its own .Own, by auto_map., which is never run",
        tokenizer_config(auto_map={"AutoTokenizer": ["own.Own", None]}, tokenizer_class="Own"),
    ),
    "deep JSON": ("nested", lambda _, text: (text / "tokenizer_config.json").write_text('{"a":' + "[" * 10**5)),
    "large JSON": ("over 4,194,304", tokenizer_config(a="x" * (5 << 20))),
    "no object": ("is not a JSON object", lambda _, text: (text / "special_tokens_map.json").write_text("[]")),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("case", CASES)
def test_a_file_that_may_not_be_read_is_named_with_the_fix(tmp_path: Path, case: str) -> None:
    says, change = CASES[case]
    model = repositories.tiny_model(tmp_path / "tiny", "acme/tokens")
    text = repositories.tokenizer_without_config(tmp_path / "tokens")
    (model / "README.md").unlink()
    change(model, text)

    with pytest.raises(CheckpointError, match=says) as told:
        refuse_unfit(
            MODEL, [fetched("acme/tiny", model, ("weights", "config")), fetched("acme/tokens", text, ("tokenizer",))]
        )
    assert "\n" not in str(told.value)


def test_a_sound_repository_passes_and_a_class_that_transformers_has_is_its_own(tmp_path: Path) -> None:
    model = repositories.tiny_model(tmp_path / "tiny", "acme/tokens")
    text = repositories.tokenizer_without_config(tmp_path / "tokens")
    tokenizer_config(auto_map={"AutoTokenizer": ["own.Own", None]}, tokenizer_class="BertTokenizer")(model, text)

    refuse_unfit(
        MODEL, [fetched("acme/tiny", model, ("weights", "config")), fetched("acme/tokens", text, ("tokenizer",))]
    )


def test_a_name_in_a_config_that_a_terminal_would_obey_is_printed_as_an_escape(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever writes a repository writes its config: the title of the window, and a line of ours."""
    model = repositories.tiny_model(tmp_path / "tiny", "acme/tokens")
    text = repositories.tokenizer_without_config(tmp_path / "tokens")
    config = model / "open_clip_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "\x1b]0;owned\x07\nnote: sound": 1}))

    refuse_unfit(
        MODEL, [fetched("acme/tiny", model, ("weights", "config")), fetched("acme/tokens", text, ("tokenizer",))]
    )

    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("note: open_clip ignores \\x1b]0;owned\\x07\\nnote: sound in open_clip_config.json")


@pytest.mark.parametrize(
    ("tower", "says"),
    [
        ({"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}, "has model_type .own.* never run"),
        ({}, "has model_type null"),
        ({"model_type": "modernbert"}, "has model_type modernbert, and open_clip .* of bert, .*roberta alone"),
        (
            {"model_type": "roberta", "num_hidden_layers": "many"},
            "^acme/tiny: open_clip .* cannot build a model of this config",
        ),
    ],
)
def test_a_text_tower_that_transformers_does_not_know_is_named(
    tmp_path: Path, tower: dict[str, object], says: str
) -> None:
    model = repositories.tiny_model(tmp_path / "tiny", "acme/tokens")
    path = model / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"]["text_cfg"] = {"hf_model_name": "acme/tower", "hf_proj_type": "mlp"}
    path.write_text(json.dumps(config))
    (tmp_path / "tower").mkdir()
    (tmp_path / "tower" / "config.json").write_text(json.dumps(tower))

    with pytest.raises(CheckpointError, match=says):
        refuse_unfit(
            MODEL,
            [
                fetched("acme/tiny", model, ("weights", "config")),
                fetched("acme/tower", tmp_path / "tower", ("text_config",)),
            ],
        )


ASK = (
    "import socket, sys\n"
    "print(repr(sys.stdin.read()))\n"
    "try: socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2); print('connected')\n"
    "except OSError as error: print('refused')\n"
)


def test_a_process_that_reads_a_model_has_no_network_and_nobody_to_ask(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from layer.bundle import sandbox\n"
        "print(sandbox.run_with_hub(Path(sys.argv[1]), ['-c', sys.argv[2], sys.argv[3]]).stdout)"
    )
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        run = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path), ASK, port],
            input="y\ny\n",
            capture_output=True,
            text=True,
            cwd=sandbox.ROOT,
            env=os.environ,
            check=True,
        )
    assert run.stdout.split() == ["''", "refused"], run
