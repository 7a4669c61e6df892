"""The doctor on Dockerfiles, code, zips, logs and running functions broken on purpose: each named by its own code."""

import importlib.util
import io
import json
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from PIL import Image, UnidentifiedImageError

from layer.doctor.examine import examine
from layer.errors import DoctorError
from layer.findings.finding import Finding

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "layer" / "demo" / "hub"
MODEL = "models--openclip-lambda--shapes-i18n"


def codes(findings: list[Finding]) -> set[str]:
    return {finding.code for finding in findings}


DOCKERFILES = {
    "old-base-image": "FROM public.ecr.aws/lambda/python:3.11\nENV HF_HUB_OFFLINE=1\n",
    "cache-in-roots-home": "FROM x\nRUN python -c \"snapshot_download('a/b', revision='c')\"\nENV HF_HUB_OFFLINE 1\n",
    "unpinned-download": 'FROM x\nENV HF_HOME=/opt/hf\nRUN ["hf", "download", "a/b"]\nENV HF_HUB_OFFLINE="1"\n',
    "offline-unset": "FROM builder AS one\nENV HF_HUB_OFFLINE=1\nFROM x\nENV A=b \\\n  # a remark\n  C=d\n",
    "cache-variable-not-read": "FROM x\nENV HF_HUB_OFFLINE=1 TRANSFORMERS_CACHE=/opt/hf\n",
}


@pytest.mark.parametrize("code", DOCKERFILES)
def test_a_foreign_dockerfile_is_named(tmp_path: Path, code: str) -> None:
    (tmp_path / "Dockerfile").write_text(DOCKERFILES[code])

    assert codes(examine(str(tmp_path))) == {code}


HANDLERS = {
    "offline-set-too-late": "import os\nimport open_clip\nos.environ['HF_HUB_OFFLINE'] = '1'\n",
    "checkpoint-with-wrong-preprocessing": "import open_clip as o\no.create_model('RN50', pretrained='/w.pt')\n",
    "random-model-not-refused": "import open_clip\nopen_clip.create_model_and_transforms('hf-hub:acme/x')\n",
    "cache-dir-not-passed-on": "import open_clip as o\no.create_model_from_pretrained('hf-hub:a/b', cache_dir='/o')\n",
    "tokenizer-of-no-model": "import open_clip as o\no.get_tokenizer('ViT-B/32')\no.get_tokenizer('ViT-B-33')\n",
    "more-threads-than-processors": "import open_clip, torch\ntorch.set_num_threads(6)\ntorch.set_num_threads(16)\n",
    "shared-memory-needed": "import open_clip\nfrom torch.utils import data\ndata.DataLoader([], num_workers=2)\n",
}


@pytest.mark.parametrize("code", HANDLERS)
def test_a_functions_own_code_is_named(tmp_path: Path, code: str) -> None:
    (tmp_path / "app.py").write_text(HANDLERS[code])

    [finding] = examine(str(tmp_path))
    assert (finding.code, finding.where) == (code, f"app.py:{HANDLERS[code].count(chr(10))}")


def test_code_that_sets_the_flag_in_time_makes_up_for_the_environment(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM x\n")
    (tmp_path / "app.py").write_text("import os\nos.environ.setdefault('HF_HUB_OFFLINE', '1')\nimport open_clip\n")

    assert examine(str(tmp_path)) == []


def write_zip(path: Path, files: dict[str, bytes], mode: int = 0o644) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return path


METADATA = "{place}/torch-2.13.0+cpu.dist-info/METADATA"
ZIPS: dict[str, tuple[dict[str, bytes], int]] = {
    "over-250-mb": ({"python/weights": bytes(262_144_001)}, 0o644),
    "not-readable": ({"python/app.py": b"pass"}, 0),
    "packages-not-under-python": ({METADATA.format(place="lib/site-packages"): b""}, 0o644),
    "broken-library": ({"python/transformers-4.57.3.dist-info/METADATA": b""}, 0o644),
    "old-library": ({"python/open_clip_torch-2.20.0.dist-info/METADATA": b""}, 0o644),
    "torchvision-of-another-torch": (
        {METADATA.format(place="python"): b"", "python/torchvision-0.28.0.dist-info/METADATA": b""},
        0o644,
    ),
}


@pytest.mark.parametrize("code", ZIPS)
def test_a_layers_zip_is_named(tmp_path: Path, code: str) -> None:
    assert codes(examine(str(write_zip(tmp_path / "layer.zip", *ZIPS[code])))) == {code}


def test_a_sound_zip_has_nothing_wrong(tmp_path: Path) -> None:
    files = {METADATA.format(place="python"): b"", "python/app.py": b"import json\n"}
    assert examine(str(write_zip(tmp_path / "layer.zip", files))) == []


def test_a_log_is_read_for_the_messages_that_people_paste(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text(
        "[ERROR] OSError: [Errno 30] Read-only file system: '/opt/hub/.locks/models--a--b'\n"
        "OSError: [Errno 38] Function not implemented\n"
        "OSError: We couldn't connect to 'https://example.com' to load the files\n"
    )

    assert codes(examine(str(log))) == {"hub-asked-read-only-cache", "shared-memory-needed", "hub-asked"}


OPEN_CLIPS = {  # what open_clip itself says, up to the names that it fills in
    "Failed to download file (": "weights-missing",
    "Model initialized randomly.": "weights-missing",
    "Model configuration not found, returning default SimpleTokenizer.": "tokenizer-of-no-model",
}


def test_what_open_clip_says_in_a_log_is_what_the_installed_one_says(tmp_path: Path) -> None:
    [package] = importlib.util.find_spec("open_clip").submodule_search_locations  # type: ignore[union-attr, misc]
    source = "".join((Path(package) / name).read_text() for name in ("factory.py", "pretrained.py"))
    for message, code in OPEN_CLIPS.items():
        assert message in source
        (tmp_path / "log.txt").write_text(f"WARNING:root:{message}open_clip_pytorch_model.bin) for acme/x.\n")
        assert codes(examine(str(tmp_path / "log.txt"))) == {code}


def test_an_image_whose_base64_was_left_as_it_came_is_named_by_what_pillow_says(tmp_path: Path) -> None:
    with pytest.raises(UnidentifiedImageError) as caught:
        Image.open(io.BytesIO(b"iVBORw0KGgo="))
    (tmp_path / "log.txt").write_text(f"[ERROR] UnidentifiedImageError: {caught.value}\n")

    assert codes(examine(str(tmp_path / "log.txt"))) == {"picture-not-decoded"}


@contextmanager
def function(answers: dict[str, tuple[int, object]]) -> Iterator[str]:
    """A function on localhost that gives these answers by path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path.partition("?")[0], (404, {}))
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


HEALTH = {"manifest_sha256": "0", "status": "ok", "reason": None}
EMBEDDING = (200, {"data": [{"embedding": [0.6, 0.8]}]})
FUNCTIONS: list[tuple[dict[str, tuple[int, object]], set[str]]] = [
    ({"/health": (200, HEALTH), "/v1/embeddings": EMBEDDING}, set()),
    ({"/health": (200, HEALTH | {"status": "error"}), "/v1/embeddings": EMBEDDING}, {"unhealthy"}),
    ({"/v1/embeddings": (504, {"message": "Endpoint request timed out"})}, {"timed-out"}),
    ({"/v1/embeddings": (403, {"message": "Missing Authentication Token"})}, {"not-allowed"}),
    ({"/v1/embeddings": (500, {"errorMessage": "[Errno 13] Permission denied: '/opt/x'"})}, {"not-readable"}),
    ({"/v1/embeddings": (200, {"vectors": []})}, {"not-an-embedding"}),
    ({"/v1/embeddings": (200, {"data": [{"embedding": [3.0, 4.0]}]})}, {"not-unit-length"}),
]  # fmt: skip


@pytest.mark.parametrize(("answers", "expected"), FUNCTIONS, ids=[",".join(sorted(e)) or "sound" for _, e in FUNCTIONS])
def test_a_running_function_is_judged_by_its_answers(
    answers: dict[str, tuple[int, object]], expected: set[str]
) -> None:
    with function(answers) as url:
        assert codes(examine(url)) == expected


def test_the_exit_status_tells_ci_and_warnings_alone_do_not_fail(tmp_path: Path) -> None:
    cache = Path(shutil.copytree(DEMO, tmp_path / "hub"))
    refs = cache / MODEL / "refs" / "main"

    def doctor(what: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "layer", "doctor", what]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    sound = doctor(str(cache))
    assert (sound.returncode, sound.stdout) == (0, f"{cache}: 0 errors, 0 warnings\n")
    (cache / "shared").mkdir()
    refs.rename(cache / "shared" / "main")
    refs.symlink_to("../../shared/main")
    warned = doctor(str(cache))
    assert (warned.returncode, warned.stdout.count("warning: link-out-of-repository")) == (0, 1)
    refs.write_text(refs.read_text() + "\n")
    broken = doctor(str(cache))
    assert broken.returncode == 1
    assert f"error: refs-newline: {MODEL}/refs/main" in broken.stdout
    assert "fix: write the commit without a newline" in broken.stdout
    unknown = doctor("no-such-image:1")
    assert unknown.returncode == 1
    assert "no-such-image:1 is not a file" in unknown.stderr


def test_a_missing_path_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DoctorError, match="is not there"):
        examine(str(tmp_path / "nothing"))
