"""The offline environment: set before anything reads it, or an error."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import pytest

from handler import offline
from handler.errors import OfflineError

ROOT = Path(__file__).parents[3]
REPORT = "import huggingface_hub.constants as c; print(c.HF_HUB_OFFLINE, c.HF_HUB_CACHE, c.HF_HUB_DISABLE_TELEMETRY)"


def frozen(**constants: object) -> dict[str, ModuleType]:
    return {"huggingface_hub.constants": cast("ModuleType", SimpleNamespace(**constants))}


def run_python(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("pasted", ["”1”", "‘1’", "0", "", "no"])
def test_a_flag_that_does_not_mean_offline_is_corrected_and_named(pasted: str) -> None:
    wrong = run_python(REPORT, HF_HUB_OFFLINE=pasted)
    assert wrong.stdout.startswith("False"), "the library would have gone to the network"

    fixed = run_python(f"from handler import offline; {REPORT}", HF_HUB_OFFLINE=pasted, PYTHONUTF8="1")

    assert fixed.stdout.split() == ["True", "/tmp/openclip/hub", "True"]
    assert f"HF_HUB_OFFLINE was {pasted!r}" in fixed.stderr


def test_importing_the_module_is_enough_and_silent_where_nothing_was_wrong() -> None:
    result = run_python(f"from handler import offline; {REPORT}", OPENCLIP_CACHE_DIR="/tmp/elsewhere")

    assert result.stdout.split() == ["True", "/tmp/elsewhere/hub", "True"]
    assert result.stderr == ""


def test_variables_set_after_the_library_was_imported_are_an_error_that_says_the_fix() -> None:
    result = run_python("import huggingface_hub.constants; from handler import offline")

    assert result.returncode == 1
    assert "OfflineError: huggingface_hub was imported before handler.offline and froze HF_HUB_OFFLINE=False" in (
        result.stderr
    )
    assert "first import of the process" in result.stderr


def test_a_cache_directory_frozen_elsewhere_is_an_error_too(tmp_path: Path) -> None:
    modules = frozen(HF_HUB_OFFLINE=True, HF_HUB_CACHE="/root/.cache/huggingface/hub")

    with pytest.raises(OfflineError, match=r"froze HF_HUB_CACHE='/root/\.cache/huggingface/hub'"):
        offline.enforce({"OPENCLIP_CACHE_DIR": str(tmp_path)}, modules)


def test_a_library_that_froze_the_right_values_is_welcome(tmp_path: Path) -> None:
    environ = {"OPENCLIP_CACHE_DIR": str(tmp_path)}

    offline.enforce(environ, frozen(HF_HUB_OFFLINE=True, HF_HUB_CACHE=str(tmp_path / "hub")))

    assert environ["HF_HUB_OFFLINE"] == "1"


def test_numpy_starts_no_threads_unless_a_number_is_set(tmp_path: Path) -> None:
    silent = {"OPENCLIP_CACHE_DIR": str(tmp_path)}
    outspoken = {**silent, "OPENBLAS_NUM_THREADS": "4"}

    offline.enforce(silent, {})
    offline.enforce(outspoken, {})

    assert (silent["OPENBLAS_NUM_THREADS"], outspoken["OPENBLAS_NUM_THREADS"]) == ("1", "4")


def test_every_directory_that_a_library_may_write_to_is_below_the_cache_directory(tmp_path: Path) -> None:
    values = offline.environment(tmp_path)

    directories = {name for name, value in values.items() if value != "1"}
    assert directories >= {"HOME", "XDG_CACHE_HOME", "TORCH_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "HF_HOME"}
    assert all(Path(values[name]).is_relative_to(tmp_path) for name in directories)


def test_a_hubs_address_that_is_none_does_not_end_a_cold_start() -> None:
    broken = {"HF_ENDPOINT": "http://[::1"}
    assert "Invalid IPv6 URL" in run_python(REPORT, **broken).stderr, "the library's own import dies of it"

    assert run_python(f"from handler import offline; {REPORT}", **broken).returncode == 0
