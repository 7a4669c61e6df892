"""Logs of functions that failed: each cause is told by the message that Lambda or the installed library gives of it."""

import importlib.util
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors

from layer.doctor.examine import examine
from layer.findings.catalogue import CATALOGUE

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 599\n"
CUT = b"\x3f" + bytes(7) + b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'.ljust(63) + bytes(10)
IMPORT = "[ERROR] Runtime.ImportModuleError: Unable to import module 'app': "


def codes(folder: Path, *lines: str) -> list[str]:
    (folder / "log.txt").write_text("".join(f"{line}\n" for line in lines))
    return [finding.code for finding in examine(str(folder / "log.txt"))]


# Lambda's own messages: "Troubleshoot execution issues in Lambda", "Runtime environment lifecycle", "Telemetry API".
LAMBDAS = {
    "RequestId: 1 Error: Runtime exited with error: signal: killed Runtime.ExitError": "out-of-memory",
    '{"type":"platform.report","record":{"status":"error","errorType":"Runtime.OutOfMemory"}}': "out-of-memory",
    '{"type":"platform.report","record":{"requestId":"1","status":"timeout"}}': "timed-out",
    "REPORT RequestId: 1 Duration: 60000.00 ms Memory Size: 512 MB Status: timeout": "timed-out",
    "RequestId: 1 Error: fork/exec /lambda-entrypoint.sh: exec format error": "built-for-another-platform",
    "RequestId: 1 Error: Runtime exited with error: exit status 1": "died",
    "OSError: [Errno 28] No space left on device": "tmp-full",
    "PermissionError: [Errno 13] Permission denied: '/root/.cache/huggingface'": "cache-in-roots-home",
    "PermissionError: [Errno 13] Permission denied: '/var/task/app.py'": "not-readable",
}
# What follows is of the loader (glibc) and of the packages' own import.
IMPORTS = {
    "/lib64/libm.so.6: version `GLIBC_2.28' not found (required by /opt/python/x.so)": "built-for-another-platform",
    "/var/task/numpy/_core/x.so: invalid ELF header": "built-for-another-platform",
    "No module named 'pydantic_core._pydantic_core'": "built-for-another-platform",
    "cannot import name '_imaging' from 'PIL' (/opt/python/PIL/__init__.py)": "built-for-another-platform",
    "libGL.so.1: cannot open shared object file: No such file or directory": "module-missing",
    "No module named 'open_clip'": "module-missing",
}


@pytest.mark.parametrize(("message", "code"), [*LAMBDAS.items(), *((IMPORT + k, code) for k, code in IMPORTS.items())])
def test_the_cause_is_told_and_no_other(tmp_path: Path, message: str, code: str) -> None:
    assert codes(tmp_path, message) == [code]


def test_a_general_message_counts_where_another_line_has_no_cause_of_its_own(tmp_path: Path) -> None:
    killed = "Error: Runtime exited with error: signal: killed"

    assert codes(tmp_path, killed, killed) == ["out-of-memory"]
    assert codes(tmp_path, killed, "Error: Runtime exited with error: exit status 1") == ["died", "out-of-memory"]


LOAD: dict[str, Callable[[bytes], object]] = {"safetensors": safetensors.deserialize, "pickle": pickle.loads}


def message_of(data: bytes, load: str) -> str:
    try:
        LOAD[load](data)
    except Exception as error:  # noqa: BLE001 - of whatever class: its text is what a log has
        return f"{type(error).__name__}: {error}"
    raise AssertionError("it was read")


@pytest.mark.parametrize(
    ("data", "load", "code"),
    [
        (POINTER, "safetensors", "lfs-pointer"),
        (POINTER, "pickle", "lfs-pointer"),
        (CUT, "safetensors", "incomplete-download"),
        (CUT[:20], "safetensors", "incomplete-download"),
    ],
)
def test_weights_that_are_none_are_told_by_what_their_reader_says(
    tmp_path: Path, data: bytes, load: str, code: str
) -> None:
    assert codes(tmp_path, message_of(data, load)) == [code]


@pytest.mark.parametrize(
    ("package", "file", "message", "code"),
    [
        ("huggingface_hub", "utils/_http.py", "offline mode is enabled", "hub-asked"),
        ("open_clip", "factory.py", "Failed to download weights for tag", "weights-missing"),
        ("open_clip", "factory.py", "Could not find/download default weights", "weights-missing"),
        ("transformers", "configuration_utils.py", "Can't load the configuration of", "config-missing"),
        ("transformers", "tokenization_utils_base.py", "Can't load tokenizer for", "tokenizer-missing"),
    ],
)
def test_what_the_installed_libraries_say_is_known(
    tmp_path: Path, package: str, file: str, message: str, code: str
) -> None:
    [place] = importlib.util.find_spec(package).submodule_search_locations  # type: ignore[union-attr, misc]
    assert message in (Path(place) / file).read_text()

    assert codes(tmp_path, f"OSError: {message} 'acme/x'") == [code]


def test_onnx_runtimes_warning_of_a_provider_that_is_not_there_is_no_finding_of_its_own(tmp_path: Path) -> None:
    warning = "Failed to load library libonnxruntime_providers_shared.so with error: libonnxruntime_providers_shared.so"

    assert codes(tmp_path, f"{warning}: cannot open shared object file: No such file or directory") == ["nothing-known"]


def test_a_log_of_a_function_that_died_is_not_answered_by_asking_for_its_log_alone() -> None:
    assert "lines before the end" in CATALOGUE["died"].fix
