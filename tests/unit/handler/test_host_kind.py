"""The kind of host is what Linux says of its processor."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from handler.engines import host_kind

XEON = (  # of an AWS m7i, shortened
    "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Platinum 8488C\n"
    "flags\t\t: fpu sse4_2 avx avx2 avx512f avx_vnni avx512_bf16 avx512_vnni amx_bf16 avx512_fp16 amx_tile amx_int8\n"
)
GRAVITON = "processor\t: 0\nFeatures\t: fp asimd asimddp sve i8mm bf16\n"


@pytest.fixture
def tells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], object]]:
    """Have Linux say something else of its processor."""
    monkeypatch.setattr(host_kind, "CPUINFO", tmp_path / "cpuinfo")
    host_kind.processor.cache_clear()
    yield (tmp_path / "cpuinfo").write_text
    host_kind.processor.cache_clear()


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (XEON, "avx2-avx_vnni-avx512f-avx512_vnni-avx512_bf16-avx512_fp16-amx_int8-amx_bf16"),
        (XEON.replace(" amx_bf16", ""), "avx2-avx_vnni-avx512f-avx512_vnni-avx512_bf16-avx512_fp16-amx_int8"),
        ("flags : sse2 avx2x\n", ""),
        (GRAVITON, ""),
        ("", ""),
    ],
)
def test_the_kind_is_what_the_processor_has(tells: Callable[[str], object], told: str, kind: str) -> None:
    tells(told)
    assert host_kind.processor() == kind


MILAN = "flags\t\t: fpu sse4_2 avx avx2 fma vaes vpclmulqdq\n"  # of an AWS m6a, shortened


@pytest.mark.parametrize(
    ("told", "cut_off"),
    [
        (MILAN, True),
        (MILAN.replace("\n", " avx512f\n"), True),  # Skylake
        (MILAN.replace("\n", " avx512f avx512_vnni\n"), False),
        (MILAN.replace("\n", " avx_vnni\n"), False),
        (XEON, False),
        (GRAVITON, False),
        ("", False),
    ],
)
def test_sums_of_8_bit_products_are_cut_off_where_nothing_adds_them_in_32_bits(
    tells: Callable[[str], object], told: str, cut_off: bool
) -> None:
    tells(told)
    assert host_kind.saturates() == cut_off


def test_a_system_that_tells_nothing_has_no_kind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host_kind, "CPUINFO", tmp_path / "none")
    host_kind.processor.cache_clear()
    assert host_kind.processor() == ""
    host_kind.processor.cache_clear()
