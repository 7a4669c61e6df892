"""The benchmark's report: medians of the processes, and ratios to the plain recipe."""

import json
from pathlib import Path

from benchmarks.cost import cheapest
from benchmarks.report import PLAIN, Medians, Report, markdown, write


def sample(cold: float, image: float) -> dict[str, object]:
    numbers = {"before_load": 0.2, "cold_peak": 3e8, "peak": 4e8, "read": 1e9, "modules": 100}
    return {"cold": cold, **numbers, "warm": {"image": image, "caption": image / 4, "image of 8": 8 * image}}


def report() -> Report:
    plain = Medians.of([sample(cold, 0.4) for cold in (9.0, 10.0, 90.0)], {"image": 0.7, "caption": 0.2})
    ours = Medians.of([sample(cold, 0.1) for cold in (0.5, 0.8, 0.9)], {"image": 0.15, "caption": 0.02})
    models = {"ViT-B-32": {PLAIN: plain, "onnx int8": ours}}
    return Report("2026-01-01", "python -m benchmarks", 3, models, {"ViT-B-32": 8_800_000_000}, 200e9)


def test_one_slow_process_changes_no_median_and_ratios_are_to_the_plain_recipe() -> None:
    rows = [line for line in markdown(report()).splitlines() if line.startswith("| onnx int8")]

    cells = [cell.strip() for cell in rows[0].strip("|").split("|")]
    assert cells[:3] == ["onnx int8", "0.80", "12.5"]
    assert cells[-6:] == ["100.0", "4.0", "25.0", "4.0", "100.0", "4.0"]
    assert "plain recipe 11%, onnx int8 44%" in markdown(report())  # 8.8 billion operations in 0.4 s and in 0.1 s


def test_a_table_a_json_file_and_a_chart_are_written_and_nothing_else(tmp_path: Path) -> None:
    write(report(), tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {f"benchmarks.{kind}" for kind in ("md", "json", "png")}
    content = json.loads((tmp_path / "benchmarks.json").read_text())
    assert content["models"]["ViT-B-32"][PLAIN]["cold"] == 10.0
    assert (tmp_path / "benchmarks.png").read_bytes().startswith(b"\x89PNG")


def test_the_cheapest_memory_setting_that_holds_the_peak_is_priced_at_lambdas_list() -> None:
    # 0.15 s of 1,769 MB at $0.0000166667 a GB-second, a million times, and $0.20 for the requests.
    dollars, memory = cheapest({1: 0.15, 2: 0.1}, 400e6) or (0, 0)
    assert (round(dollars, 2), memory) == (4.52, 1769)

    dollars, memory = cheapest({1: 0.15, 2: 0.1}, 3e9) or (0, 0)
    assert (round(dollars, 2), memory) == (5.96, 3538)

    assert cheapest({1: 0.15, 2: 0.1}, 5e9) is None
