"""A folder on this machine, with the files that AWS would get."""

import argparse
import os
import sys
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from handler import manifest
from handler.batch import changes, shard
from handler.batch.arrivals import PARTITION
from handler.batch.files import explained
from handler.batch.folder_plan import Since, compare, plan, planned
from handler.batch.processes import outcomes
from handler.batch.settings import share
from handler.batch.store import Directory
from handler.errors import ApiError, StartError, counted
from handler.imaging.added_formats import ADDED
from handler.service import vectors_sha256
from handler.settings import Settings

RUN = "local"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status: 0 all images, 3 some failed, 1 a shard failed, 130 interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    options.run = options.run or (_name_by_time() if options.changes else RUN)
    if not options.source.is_dir():
        parser.error(f"{options.source} is not a directory: name the folder that holds the images")
    if shard.PLAN.fullmatch(f"runs/{options.run}/plan/00000000.jsonl") is None or options.run == PARTITION:
        parser.error(
            f"--run {options.run!r}: use letters, digits, dots, dashes and underscores, at most 64; not arrivals"
        )
    try:
        if options.max_failed is not None:
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
        print(f"\ninterrupted: {_again(options)} goes on where this one stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m handler.batch", description=__doc__)
    parser.add_argument("source", type=_folder, help="folder of images; its subfolders are read too")
    parser.add_argument("--output", type=_folder, required=True, help="directory for plan, vectors and errors")
    parser.add_argument(
        "--run", help=f"name of the run; the same name goes on where it stopped ({RUN}; with --changes the time)"
    )
    parser.add_argument(
        "--changes", action="store_true", help="embed what is new or changed since the runs of this output"
    )
    parser.add_argument("--shard-size", type=_positive, default=1000, help="images in one Parquet file (1000)")
    parser.add_argument("--processes", type=_positive, default=os.cpu_count() or 1, help="processes (one a processor)")
    parser.add_argument("--tolerated-shards", type=float, default=5, help="percent of the shards that may fail (5)")
    parser.add_argument(
        "--max-failed",
        type=float,
        help="share of a shard that may fail (0.5; with --changes all may: it has what failed before)",
    )
    return parser


def _folder(text: str) -> Path:
    if not text:  # as of a variable that is not set: it would be the working directory
        raise argparse.ArgumentTypeError("an empty name is no folder: name one")
    if "://" in text:  # a directory called `s3:` would be made here
        raise argparse.ArgumentTypeError(f"{text!r} is an address: name a folder of this machine")
    return Path(os.path.expanduser(text))  # noqa: PTH111 - no shell replaces the ~ of `--output=~/x`


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _image_formats() -> tuple[str, ...]:
    return manifest.load(Settings.from_env().bundle_dir).image_formats


def _run(options: argparse.Namespace) -> int:
    store = Directory(options.output)
    before = planned(store, options.run)
    if not (before and _is(options.source, before["source"])):  # its run may be finished, whatever else is there
        _check_sources(options, _sources(store))
    since = (lambda: _since(store, options)) if options.changes else None
    found = plan(options.source, store, options.run, options.shard_size, _image_formats, since)
    _check_sources(options, {found["source"]})  # of two at once the other may have planned this run
    _print_plan(found)
    if options.max_failed is None and not (options.changes or found.get("changes")):  # which has what failed before
        options.max_failed = 0.5
    if before and not before.get("changes"):  # whose plan has a part of the folder
        _print_changes(options, store, found)
    return _embed(options, [f"{found['prefix']}{number:08d}.jsonl" for number in range(found["shards"])])


def _embed(options: argparse.Namespace, names: list[str]) -> int:
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
        f"results in {_printable(options.output)}"
    )
    if stopped:
        print(
            f"error: stopped early: {totals['shards_failed']} of {counted(len(names), 'shard')} failed, more than the "
            f"{options.tolerated_shards:g} % of --tolerated-shards. What is done is kept: {_again(options)} goes on",
            file=sys.stderr,
        )
    return 1 if totals["shards_failed"] else 3 if totals["failed"] or totals["failed_before"] else 0


def _sources(store: Directory) -> set[str]:
    """Return the folders that runs of this output are of; a bucket's images have another name than any file."""
    found = set[str]()
    for run in store.folders("runs/"):
        with suppress(StartError):  # no plan of a folder
            if (summary := planned(store, run)) and not summary["source"].startswith("s3://"):
                found.add(summary["source"])
    return found


def _check_sources(options: argparse.Namespace, sources: set[str]) -> None:
    """Raise StartError for an output of another folder: files of one name below both would be one image."""
    for source in sorted(sources):
        if not _is(options.source, source):
            raise StartError(
                f"{_printable(options.output)} has the images of {source}, and one output holds one folder: a name "
                "that both have would be one image. Give another --output"
            )


def _since(store: Directory, options: argparse.Namespace) -> Since:
    settings = Settings.from_env()
    model = vectors_sha256(settings)[: shard.DIGITS]
    summaries = {run: planned(store, run) for run in store.folders("runs/")}
    runs = [run for run, found in summaries.items() if found and _is(options.source, found["source"])]
    if not runs:
        raise StartError(f"{_printable(options.output)} has no run of this folder: the first one is without --changes")
    before = changes.embedded_before(store, runs, model, settings.of_vectors)
    return Since(before, f"deletions/model={model}/run={options.run}/")


def _print_plan(found: dict[str, Any]) -> None:
    if counts := found.get("changes"):
        print(f"since the runs before: {changes.told(counts)}, {counts['unchanged']:,} unchanged")
    left_out = counted(found["left_out"], "other file")
    print(f"{counted(found['images'], 'image')} in {counted(found['shards'], 'shard')}; {left_out} left out")
    if others := found["not_decoded"]:
        names = ", ".join(f"{count:,} {ending}" for ending, count in sorted(others.items()))
        more = [f'"{name}"' for name, known in ADDED.items() if {*known.suffixes} & {*others}]
        built = f", or build with image_formats = [{', '.join(more)}] in [target] of models.toml" if more else ""
        print(f"not decoded by this bundle, and left out: {names}: convert them to JPEG, PNG or WebP{built}")
    # As errors are, since the client's `batch start` passes on those alone.
    if unnamed := found["not_utf8"]:
        why = "a name that is not UTF-8, of its own or of a folder: rename it"
        print(f"{counted(unnamed, 'image')} left out for {why}", file=sys.stderr)
    if links := found["links"]:
        why = "it takes a run with an output of its own"
        print(f"{counted(links, 'link')} to a directory not followed: {why}", file=sys.stderr)


def _print_changes(options: argparse.Namespace, store: Directory, found: dict[str, Any]) -> None:
    """Tell what this run leaves out: it has the images that the folder had when it was planned."""
    since = changes.planned_before(store, found)
    if since is None:
        return
    compare(options.source, _image_formats(), since)
    counts = since.counts()
    if counts["new"] or counts["changed"] or counts["gone"]:
        print(
            f"the folder has changed since this run was planned ({changes.told(counts)}): when it is done, the same "
            "command with --changes embeds what is new or changed",
            file=sys.stderr,
        )


def _again(options: argparse.Namespace) -> str:
    """Name the command that goes on with this run: --changes alone begins another one."""
    return f"the same command with --run {options.run}" if options.changes else "the same command"


def _name_by_time() -> str:
    now = datetime.now(UTC)
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03}"


def _printable(path: Path) -> str:
    return str(path).encode(errors="backslashreplace").decode()


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
