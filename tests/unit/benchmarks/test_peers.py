"""The comparison with peers: what counts, what is hidden, and the floors, against numbers made by hand."""

import errno
import json
import math
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.pages import command
from benchmarks.peers import amx, products
from benchmarks.peers.entries import ENTRIES
from benchmarks.peers.limits import Limits, weights_floor
from benchmarks.peers.report import Comparison, leads, markdown
from benchmarks.peers.results import Result, lead, least_cosine, median, percentile_20

ROOT = Path(__file__).parents[3]


def result(name: str, image: float, caption: float, cosines: tuple[float, float], ours: bool = False) -> Result:
    found = Result(
        name, ours, cold=[image * 10] * 3, cold_on_one=[image * 20], cold_peak=[image * 1e9], peak=image * 2e9
    )
    found.add("towers", "image", [image] * 5)
    found.add("towers", "caption", [caption] * 5)
    found.cosines = dict(zip(("images", "captions"), cosines, strict=True))
    return found


OURS = result("ours", 0.10, 0.05, (0.9999, 0.9999), ours=True)
CLOSE = result("close", 0.12, 0.15, (0.9995, 0.9995))
WRONG = result("wrong", 0.01, 0.01, (0.9989, 0.998))
HALF = result("half", 0.08, 0.01, (0.9990, 0.9989))


def ahead(results: list[Result], workload: str) -> tuple[float, str]:
    found = lead(results, "towers", workload)
    assert found
    return round(found[0], 6), found[1]


def test_a_peer_below_the_required_cosine_is_shown_in_parentheses_and_not_counted() -> None:
    page = markdown([compared := Comparison("ViT-B-32", "AMX on", [OURS, CLOSE, WRONG], Limits({}, {}), {})], FACTS)

    assert ahead([OURS, CLOSE, WRONG], "image") == (1.2, "close")
    assert {peer for *_, peer in leads(compared)} == {"close"}
    assert "| wrong | (10.0 / 10.0) |" in page
    assert "| close | 120.0 / 120.0 |" in page


def test_a_peer_counts_for_the_tower_whose_vectors_are_right_and_one_that_is_ahead_is_told() -> None:
    assert ahead([OURS, CLOSE, HALF], "image") == (0.8, "half")
    assert ahead([OURS, CLOSE, HALF], "caption") == (3.0, "close")

    told = markdown([Comparison("ViT-B-32", "AMX on", [OURS, CLOSE, HALF], Limits({}, {}), {})], FACTS)
    assert "| image, towers | 0.80x | 1.1x | **not met** | half |" in told
    assert "| caption, towers | 3.00x | 2.5x | met | close |" in told


def test_an_engine_of_ours_below_the_required_cosine_is_not_counted_either() -> None:
    fast = result("ours, inexact", 0.01, 0.01, (0.99897, 0.9995), ours=True)
    assert ahead([OURS, fast, CLOSE], "image") == (1.2, "close")
    assert ahead([OURS, fast, CLOSE], "caption") == (15.0, "close")

    told = markdown([Comparison("ViT-B-32", "AMX on", [fast, CLOSE], Limits({}, {}), {})], FACTS)
    assert "| ours, inexact | (10.0 / 10.0) |" in told
    assert "| image, towers | none of ours counts | 1.1x | **not met** | close |" in told
    assert "| cold | none of ours counts | 1.7x | **not met** | close |" in told


def test_every_cell_is_a_multiple_of_its_floor_which_stands_below_it_with_the_peaks() -> None:
    limits = Limits({"int8 on 2": 2e12}, {"image": 0.04})

    page = markdown([Comparison("ViT-B-32", "AMX on", [OURS, CLOSE], limits, {"infinity": "why"})], FACTS)

    assert "100.0 / 100.0, 2.5x" in page  # 0.1 s of 0.04
    assert "| close | 120.0 / 120.0, 3.0x |" in page
    assert "| *floor* | 40.00, 1.0x |" in page
    assert "| *peak on 2* | 2,000 GOP/s |" in page
    assert "infinity is not here: why." in page


def test_a_contender_that_ended_early_is_shown_with_the_reason_and_leads_nothing() -> None:
    dead = result("dead", 0.01, 0.01, (1.0, 1.0))
    dead.failed, dead.peak = "ImportError: no such thing", math.nan
    never = Result("never", ours=False, failed="ended by SIGKILL: is there enough memory?")

    compared = Comparison("ViT-B-32", "AMX on", [OURS, CLOSE, dead, never], Limits({}, {}), {})
    page = markdown([compared], FACTS)

    assert "dead ended early: `ImportError: no such thing`." in page
    assert "never ended early: `ended by SIGKILL: is there enough memory?`." in page
    assert {cell: peer for cell, *_, peer in leads(compared)}["peak memory"] == "close"


def test_a_page_tells_the_command_without_the_folders_of_the_machine() -> None:
    given = ["--place", "/var/here", "--no-engines", "--output", "/var/there", "--rounds", "2"]

    assert command(given) == "python -m benchmarks --no-engines --rounds 2"


def test_the_middle_and_the_20th_percentile_of_ten() -> None:
    numbers = [9.0, 1, 2, 3, 4, 5, 6, 7, 8, 10]
    assert (median(numbers), percentile_20(numbers)) == (5.5, 3)
    assert math.isnan(median([]))


def test_the_least_cosine_is_that_of_the_row_that_is_furthest_off() -> None:
    assert least_cosine([[1, 0], [1, 0]], [[2, 0], [1, 1]]) == pytest.approx(math.sqrt(0.5))


def test_the_products_of_a_tower_are_those_with_its_weights_and_a_floor_is_bytes_by_bandwidth() -> None:
    import torch

    layers = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 4, 4), torch.nn.Flatten(2), torch.nn.Linear(16, 5), torch.nn.Flatten(1)
    )
    found = products.products(lambda: layers(torch.zeros(2, 3, 16, 16)))

    # 2 images of 4x4 patches, 3*4*4 samples each, to 8 channels; then 2*8 rows of 16 to 5.
    assert found == [(32, 48, 8), (16, 16, 5)]
    assert [one.operations for one in found] == [2 * 32 * 48 * 8, 2 * 16 * 16 * 5]
    assert weights_floor(found, 1000) == pytest.approx((48 * 8 + 16 * 5) / 1000)


def test_vit_b_32_is_the_products_that_its_paper_and_config_say() -> None:
    # 12 layers of width 768 on 50 tokens, 49 patches of 32x32x3, and one projection to 512.
    layer = 768 * 3 * 768 + 768 * 768 + 2 * 768 * 3072
    patches, projection = 49 * 3072 * 768, 768 * 512

    found = products.of_tower("ViT-B-32", "images", 1)

    assert sum(one.operations for one in found) == 2 * (12 * 50 * layer + patches + projection)


def test_many_images_are_as_many_products_as_one_by_one() -> None:
    one, eight = (products.of_tower("ViT-B-32", "images", count) for count in (1, 8))

    assert sum(each.operations for each in eight) == 8 * sum(each.operations for each in one)


def test_a_causal_caption_is_computed_to_its_end_only() -> None:
    layer = 512 * 3 * 512 + 512 * 512 + 2 * 512 * 2048

    found = products.of_tower("ViT-B-32", "captions", 1, tokens=11)

    assert sum(one.operations for one in found) == 2 * (12 * 11 * layer + 512 * 512)
    assert sum(one.weights for one in found) == 12 * layer + 512 * 512


@pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="arch_prctl is x86_64 Linux's")
def test_hidden_amx_is_refused_by_the_kernel_and_nothing_else_is() -> None:
    ask = """
import ctypes, json, sys
sys.path.insert(0, sys.argv[1])
from benchmarks.peers import amx
libc = ctypes.CDLL(None, use_errno=True)
def asked(code, value):
    ctypes.set_errno(0)
    return libc.syscall(158, code, value), ctypes.get_errno()
held = ctypes.c_ulong()
amx.hide()
print(json.dumps([asked(0x1023, 18), asked(0x1022, ctypes.byref(held))]))
"""
    done = subprocess.run([sys.executable, "-c", ask, str(ROOT)], capture_output=True, text=True, check=True)

    requested, read = json.loads(done.stdout)
    assert requested == [-1, errno.EPERM]
    assert read[1] != errno.EPERM  # ARCH_GET_XCOMP_PERM, which asks for nothing


def test_a_processor_with_amx_is_told_from_one_without(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("flags\t\t: fpu avx512_vnni amx_bf16 amx_tile amx_int8\n")
    assert amx.available(info)
    info.write_text("flags\t\t: fpu avx512_vnni avx_vnni\n")
    assert not amx.available(info)


def test_every_row_has_a_name_of_its_own_a_class_and_its_requirements() -> None:
    import importlib

    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)
    for entry in ENTRIES:
        module, _, name = entry.place.partition(":")
        assert hasattr(importlib.import_module(module), name)
        assert not entry.environment or (ROOT / f"benchmarks/peers/requirements-{entry.environment}.txt").is_file()
        assert bool(entry.models) == bool(entry.why)


FACTS = {"date": "2026-01-01", "command": "python -m benchmarks"}
