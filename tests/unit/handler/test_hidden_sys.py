"""Where /sys describes no processor, what cpuinfo prints of it becomes a line of ours, and nothing else is lost."""

import logging
import os

import pytest

from handler.engines.hidden_sys import cpuinfo_told

# As onnxruntime 1.32 printed it on arm64 (neoverse-n1) without /sys.
PRINTED = b"""\
Error in cpuinfo: failed to parse the list of possible processors in /sys/devices/system/cpu/possible
Error in cpuinfo: failed to parse the list of present processors in /sys/devices/system/cpu/present
Error in cpuinfo: failed to parse both lists of possible and present processors
onnxruntime cpuid_info warning: Failed to initialize PyTorch cpuinfo library. May cause CPU EP performance degradation \
due to undetected CPU features.
onnxruntime cpuid_info warning: Unknown CPU vendor. cpuinfo_vendor value: 0
onnxruntime warning: cpuinfo_initialize failed. May cause CPU EP performance degradation due to undetected CPU features.
"""


def test_what_is_expected_there_is_one_line_of_ours(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), cpuinfo_told():
        os.write(2, PRINTED)
    assert capfd.readouterr().err == ""
    assert [record.getMessage() for record in caplog.records] == [
        "/sys describes no processor, so onnxruntime knows few features of it: expected on Lambda's arm64"
    ]


def test_whatever_else_is_printed_stays_also_where_the_import_fails(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with cpuinfo_told():
            os.write(2, b"Error in cpuinfo: unknown microarchitecture\n" + PRINTED + b"Illegal instruction")
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert capfd.readouterr().err == "Error in cpuinfo: unknown microarchitecture\nIllegal instruction"
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"
