"""Name this host's kind: the features of its processor that decide how OpenVINO compiles a model."""

import functools
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# OpenVINO chooses kernels, and the graph for them, by these. When it imports a blob, it checks some of them itself, and
# refuses the blob. This list has more of them, so that a blob which would be refused is not read at all.
FEATURES = (
    *("avx2", "avx_vnni", "avx_vnni_int8", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_int8", "amx_bf16", "amx_fp16"),
)


@functools.cache
def processor() -> str:
    """Return the FEATURES that this processor has, joined as in `avx2-avx512f-avx512_vnni`.

    It is empty where /proc/cpuinfo has no `flags`: on arm64, and on systems other than Linux.
    """
    try:
        with CPUINFO.open(encoding="ascii", errors="replace") as lines:
            flags = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return ""
    has = set(flags.partition(":")[2].split())
    return "-".join(name for name in FEATURES if name in has)


def saturates() -> bool:
    """Tell whether sums of 8-bit products are known to saturate on this processor: x86 with neither VNNI nor AMX."""
    has = set(processor().split("-"))
    return "avx2" in has and has.isdisjoint({"avx_vnni", "avx512_vnni", "amx_int8"})


def multiplies_by_avx512() -> bool:
    """Tell whether this processor's fastest 8-bit products are AVX-512's: it has VNNI, and no AMX."""
    has = set(processor().split("-"))
    return "avx512_vnni" in has and "amx_int8" not in has
