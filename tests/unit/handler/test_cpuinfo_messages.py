"""Where /sys describes no processor, what cpuinfo prints of it becomes a line of ours, and nothing else is lost."""

import logging
import os
import subprocess
import sys

import pytest

from handler.engines.cpuinfo_messages import filter_cpuinfo_messages

# As onnxruntime 1.32 printed it on arm64 (neoverse-n1) without /sys; the last line is of torch's oneDNN.
PRINTED = b"""\
Error in cpuinfo: failed to parse the list of possible processors in /sys/devices/system/cpu/possible
Error in cpuinfo: failed to parse the list of present processors in /sys/devices/system/cpu/present
Error in cpuinfo: failed to parse both lists of possible and present processors
onnxruntime cpuid_info warning: Failed to initialize PyTorch cpuinfo library. May cause CPU EP performance degradation \
due to undetected CPU features.
onnxruntime cpuid_info warning: Unknown CPU vendor. cpuinfo_vendor value: 0
onnxruntime warning: cpuinfo_initialize failed. May cause CPU EP performance degradation due to undetected CPU features.
/pytorch/third_party/ideep/mkl-dnn/src/cpu/aarch64/xbyak_aarch64/src/util_impl_linux.h, 444: Can't open MIDR_EL1 sysfs \
entry
"""


def test_what_is_expected_there_is_one_line_of_ours(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), filter_cpuinfo_messages("onnxruntime"):
        os.write(2, PRINTED)
    assert capfd.readouterr().err == ""
    assert [record.getMessage() for record in caplog.records] == [
        "/sys describes no processor to onnxruntime: expected on Lambda's arm64"
    ]


def test_whatever_else_is_printed_stays_also_where_the_import_fails(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with filter_cpuinfo_messages("onnxruntime"):
            os.write(2, b"Error in cpuinfo: unknown microarchitecture\n" + PRINTED + b"Illegal instruction")
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert capfd.readouterr().err == "Error in cpuinfo: unknown microarchitecture\nIllegal instruction"
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"


def test_the_engine_decides_how_torch_is_imported() -> None:
    # What torch reads and prints at its import comes after the engine has prepared both.
    code = "import sys, handler.engines.torch_engine; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
