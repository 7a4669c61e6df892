"""What could not be embedded, counted over several runs of one output."""

import json
import os
from pathlib import Path

from openclip_lambda.batch import results
from openclip_lambda.batch.places import Directory


def test_an_image_that_failed_in_several_runs_counts_once_as_in_the_latest(tmp_path: Path) -> None:
    for run, code, written in (("a", "not_an_image", 1), ("b", "image_truncated", 3), ("c", "empty_input", 2)):
        path = tmp_path / "errors" / "model=0123456789ab" / f"run={run}" / "00000000.jsonl"
        path.parent.mkdir(parents=True)
        lines = [{"bucket": "", "key": key, "code": code, "message": code} for key in ("1.png", f"{run}.png")]
        path.write_text("\n".join(map(json.dumps, lines)))
        os.utime(path, (written, written))

    found = results.failures(Directory(tmp_path), None, 9)

    assert {row.code: [one["key"] for one in row.keys] for row in found} == {
        "image_truncated": ["1.png", "b.png"],
        "empty_input": ["c.png"],
        "not_an_image": ["a.png"],
    }
    assert sum(row.images for row in found) == 4


def test_an_old_error_of_arrivals_does_not_hide_a_later_one_of_a_run(tmp_path: Path) -> None:
    """All arrivals are one run, which has errors of each day."""
    files = {"arrivals/a": ("a.png", "empty_input", 1), "r/0": ("a.png", "not_an_image", 2)}
    files["arrivals/b"] = ("b.png", "empty_input", 3)
    for name, (key, code, written) in files.items():
        run, _, file = name.partition("/")
        path = tmp_path / "errors" / "model=0123456789ab" / f"run={run}" / f"{file}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"bucket": "", "key": key, "code": code, "message": code}))
        os.utime(path, (written, written))

    found = results.failures(Directory(tmp_path), None, 9)

    assert {row.code: [one["key"] for one in row.keys] for row in found} == {
        "empty_input": ["b.png"],
        "not_an_image": ["a.png"],
    }
