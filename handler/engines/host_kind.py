"""The kind of host that this is: what of its processor decides how OpenVINO rewrites a model."""

import functools
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# OpenVINO picks its kernels, and the graph that it makes for them, by these. It looks at some of them itself when it
# imports, and refuses; the list is finer, so that no blob is read in vain.
FEATURES = (
    *("avx2", "avx_vnni", "avx_vnni_int8", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_int8", "amx_bf16", "amx_fp16"),
)


@functools.cache
def processor() -> str:
    """Name this processor's kind by what it has of FEATURES, as `avx2-avx512f-avx512_vnni`; empty where none is told.

    It is empty on arm64, and on systems other than Linux.
    """
    try:
        with CPUINFO.open(encoding="ascii", errors="replace") as lines:
            flags = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return ""
    has = set(flags.partition(":")[2].split())
    return "-".join(name for name in FEATURES if name in has)


def saturates() -> bool:
    """Tell whether this processor is known to cut off sums of 8-bit products: x86 that has neither VNNI nor AMX."""
    has = set(processor().split("-"))
    return "avx2" in has and has.isdisjoint({"avx_vnni", "avx512_vnni", "amx_int8"})
