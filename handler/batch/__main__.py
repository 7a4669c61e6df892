"""`python -m handler.batch photos --output vectors`: a folder on this machine, with the files that AWS would get."""

from handler import offline  # noqa: F401, I001 - before all else: libraries freeze their network settings when imported

import argparse
import os
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from handler import manifest
from handler.batch import shard
from handler.batch.arrivals import PARTITION
from handler.batch.files import explained
from handler.batch.folder_plan import plan
from handler.batch.processes import outcomes
from handler.batch.settings import share
from handler.batch.store import Directory
from handler.errors import ApiError, StartError, counted
from handler.settings import Settings

RUN = "local"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status: 0 all images, 3 some failed, 1 a shard failed, 130 interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.source.is_dir():
        parser.error(f"{options.source} is not a directory: name the folder that holds the images")
    if shard.PLAN.fullmatch(f"runs/{options.run}/plan/00000000.jsonl") is None or options.run == PARTITION:
        parser.error(
            f"--run {options.run!r}: use letters, digits, dots, dashes and underscores, at most 64; not arrivals"
        )
    try:
        share(str(options.max_failed))
        if not 0 <= options.tolerated_shards <= 100:
            parser.error(f"--tolerated-shards {options.tolerated_shards:g}: give a number from 0 to 100")
        return _run(options)
    except (StartError, ApiError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {explained(error, options.output)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on where this one stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m handler.batch", description=__doc__)
    parser.add_argument("source", type=_folder, help="folder of images; its subfolders are read too")
    parser.add_argument("--output", type=_folder, required=True, help="directory for plan, vectors and errors")
    parser.add_argument("--run", default=RUN, help="name of the run; the same name goes on where it stopped")
    parser.add_argument("--shard-size", type=_positive, default=1000, help="images in one Parquet file (1000)")
    parser.add_argument("--processes", type=_positive, default=os.cpu_count() or 1, help="processes (one a processor)")
    parser.add_argument("--tolerated-shards", type=float, default=5, help="percent of the shards that may fail (5)")
    parser.add_argument("--max-failed", type=float, default=0.5, help="share of a shard that may fail (0.5)")
    return parser


def _folder(text: str) -> Path:
    if not text:  # as of a variable that is not set: it would be the working directory
        raise argparse.ArgumentTypeError("an empty name is no folder: name one")
    return Path(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _image_formats() -> tuple[str, ...]:
    return manifest.load(Settings.from_env().bundle_dir).image_formats


def _run(options: argparse.Namespace) -> int:
    store = Directory(options.output)
    planned = plan(options.source, store, options.run, options.shard_size, _image_formats)
    if not _is(options.source, planned["source"]):
        raise StartError(f"run {options.run!r} in {options.output} is of {planned['source']}: give another --run")
    names = [f"{planned['prefix']}{number:08d}.jsonl" for number in range(planned["shards"])]
    left_out = counted(planned["left_out"], "other file")
    print(f"{counted(planned['images'], 'image')} in {counted(planned['shards'], 'shard')}; {left_out} left out")
    if links := planned["links"]:
        print(f"{counted(links, 'link')} to a directory not followed: what lies behind is embedded by a run of its own")
    totals = {"embedded": 0, "failed": 0, "skipped": 0, "shards_failed": 0, "failed_before": 0}
    started, stopped = time.monotonic(), False
    running = outcomes(names, options.source, options.output, options.max_failed, options.processes)
    with closing(running):  # which ends the processes
        for outcome in running:
            _add(totals, outcome)
            _show(totals, time.monotonic() - started)
            if stopped := totals["shards_failed"] > len(names) * options.tolerated_shards / 100:
                break
    print(
        f"{totals['embedded']:,} embedded, {totals['failed']:,} failed, {_before(totals)}, "
        f"{counted(totals['shards_failed'], 'shard')} failed; {time.monotonic() - started:.1f} s; "
        f"results in {str(options.output).encode(errors='backslashreplace').decode()}"
    )
    if stopped:
        print(
            f"error: stopped early: {totals['shards_failed']} of {counted(len(names), 'shard')} failed, more than the "
            f"{options.tolerated_shards:g} % of --tolerated-shards. What is done is kept: the same command goes on",
            file=sys.stderr,
        )
    return 1 if totals["shards_failed"] else 3 if totals["failed"] or totals["failed_before"] else 0


def _is(source: Path, planned: str) -> bool:
    return str(source.absolute()) == planned or (Path(planned).exists() and source.samefile(planned))


def _before(totals: dict[str, int]) -> str:
    failed = f" with {totals['failed_before']:,} failed" if totals["failed_before"] else ""
    return f"{counted(totals['skipped'], 'shard')} {'was' if totals['skipped'] == 1 else 'were'} done before{failed}"


def _add(totals: dict[str, int], outcome: dict[str, Any]) -> None:
    for name in ("embedded", "failed", "failed_before"):
        totals[name] += outcome.get(name, 0)
    totals["skipped"] += bool(outcome.get("skipped"))
    totals["shards_failed"] += "error" in outcome
    if "error" in outcome:
        print(f"error: {outcome['error']}", file=sys.stderr)


def _show(totals: dict[str, int], seconds: float) -> None:
    if not sys.stderr.isatty():
        return
    rate = totals["embedded"] / max(seconds, 1e-9)
    print(
        f"\r{counted(totals['embedded'], 'image')} embedded, {rate:,.0f} images/s ", end="", file=sys.stderr, flush=True
    )


if __name__ == "__main__":
    sys.exit(main())
