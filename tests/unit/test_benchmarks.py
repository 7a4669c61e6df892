"""The benchmark's report: medians of the processes, and ratios to the plain recipe."""

import json
from pathlib import Path

from benchmarks.report import PLAIN, Contender, Report, markdown, write


def sample(cold: float, image: float) -> dict[str, object]:
    numbers = {"before_load": 0.2, "cold_peak": 3e8, "peak": 4e8, "read": 1e9, "modules": 100}
    return {"cold": cold, **numbers, "warm": {"image": image, "image of 8": 8 * image}}


def report() -> Report:
    plain = Contender.of([sample(cold, 0.4) for cold in (9.0, 10.0, 90.0)])
    ours = Contender.of([sample(cold, 0.1) for cold in (0.5, 0.8, 0.9)])
    return Report("2026-01-01", "python -m benchmarks", 3, {"ViT-B-32": {PLAIN: plain, "onnx int8": ours}})


def test_one_slow_process_changes_no_median_and_ratios_are_to_the_plain_recipe() -> None:
    rows = [line for line in markdown(report()).splitlines() if line.startswith("| onnx int8")]

    cells = [cell.strip() for cell in rows[0].strip("|").split("|")]
    assert cells[:3] == ["onnx int8", "0.80", "12.5"]
    assert cells[-4:] == ["100.0", "4.0", "100.0", "4.0"]


def test_a_table_a_json_file_and_a_chart_are_written_and_nothing_else(tmp_path: Path) -> None:
    write(report(), tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {f"benchmarks.{kind}" for kind in ("md", "json", "png")}
    content = json.loads((tmp_path / "benchmarks.json").read_text())
    assert content["models"]["ViT-B-32"][PLAIN]["cold"] == 10.0
    assert (tmp_path / "benchmarks.png").read_bytes().startswith(b"\x89PNG")
