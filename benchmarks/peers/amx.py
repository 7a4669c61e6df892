"""AMX hidden from a process: what a processor without it would run, on one that has it.

A process asks the kernel before it may use AMX's tiles (arch_prctl, ARCH_REQ_XCOMP_PERM). A seccomp filter refuses that
call, and every library falls back to what it has for processors without AMX.
"""

import ctypes
import errno
import os
import platform
import struct
from pathlib import Path

from benchmarks.errors import BenchmarkError

ARCH_PRCTL, REQUEST_PERMISSION = 158, 0x1023  # asm/unistd_64.h, asm/prctl.h
AUDIT_ARCH_X86_64 = 0xC000003E
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD | BPF_W | BPF_ABS; BPF_JMP | BPF_JEQ | BPF_K; BPF_RET | BPF_K
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
# Each is code, jump if true, jump if false, value: whatever is not this one call goes to the last line.
FILTER = (
    (LOAD, 0, 0, ARCHITECTURE),
    (EQUAL, 0, 5, AUDIT_ARCH_X86_64),
    (LOAD, 0, 0, NUMBER),
    (EQUAL, 0, 3, ARCH_PRCTL),
    (LOAD, 0, 0, FIRST_ARGUMENT),
    (EQUAL, 0, 1, REQUEST_PERMISSION),
    (RETURN, 0, 0, REFUSE),
    (RETURN, 0, 0, ALLOW),
)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def available(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Tell whether this processor has AMX for 8-bit integers."""
    return cpuinfo.exists() and " amx_int8" in cpuinfo.read_text()


def hide() -> None:
    """Refuse AMX to this process from now on, and to all that it starts: call it before any library is imported.

    Raises BenchmarkError where the kernel has no seccomp filters, or the processor is no x86_64.
    """
    if platform.machine() != "x86_64":
        raise BenchmarkError(f"AMX cannot be hidden on {platform.machine()}, which has none: leave --amx out")
    libc = ctypes.CDLL(None, use_errno=True)
    code = b"".join(struct.pack("=HBBI", *line) for line in FILTER)
    program = _Program(len(FILTER), code)
    for request in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)),
    ):
        if libc.prctl(*request):
            reason = os.strerror(ctypes.get_errno())
            raise BenchmarkError(f"AMX cannot be hidden ({reason}): a kernel with seccomp filters is needed")
