"""`python -m handler.search rebuild --vectors <directory or s3://bucket> --index <directory or s3://bucket/prefix>`."""

from handler import offline  # noqa: F401, I001 - before all else: libraries freeze their network settings when imported

import argparse
import os
import sys
import time

from handler.errors import ApiError, StartError, counted


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status: 1 for an error that is told, 130 where it is interrupted."""
    parser = argparse.ArgumentParser("python -m handler.search", description="The index of a search.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("rebuild", help="make the index anew from what batches wrote, and switch to it")
    place = os.path.expanduser  # no shell replaces the ~ of `--index=~/x`
    told = "directory or s3://bucket that holds vectors/ and deletions/"
    command.add_argument("--vectors", type=place, required=True, help=told)
    told = "directory, s3://bucket/prefix or s3vectors:<bucket>/<index>"
    command.add_argument("--index", type=place, required=True, help=told)
    command.add_argument("--manifest", default="", help="which vectors, by the beginning of their vectors_sha256")
    command.add_argument(
        "--exif-orientation", choices=("true", "false"), help="which vectors, by the setting of their images"
    )
    options = parser.parse_args(arguments)
    try:
        return _rebuild(options)
    except (StartError, ApiError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        left = "the index is the old one or the new one (in S3 Vectors it may be a part)"
        print(f"\ninterrupted: {left}; the same command begins anew", file=sys.stderr)
        return 130


def _rebuild(options: argparse.Namespace) -> int:
    from handler.search.backends import rebuild_index
    from handler.search.settings import check_place

    check_place(options.index, "--index")
    upright = options.exif_orientation
    settings = {"exif_orientation": upright == "true"} if upright else {}
    started = time.monotonic()
    with Bars() as bars:
        made = rebuild_index(options.vectors, options.index, options.manifest, settings, bars.show)
    late = f", {counted(made.late, 'file')} came meanwhile" if made.late else ""
    late += f", {counted(made.other_settings, 'file')} of another setting left out" if made.other_settings else ""
    late += f", {counted(made.left_out, 'file')} with a name that no batch writes left out" if made.left_out else ""
    gone = f"{made.gone:,} {'is' if made.gone == 1 else 'are'} gone"
    print(
        f"{counted(made.rows, 'image')} can be found and {gone}, of {counted(made.read, 'row')}{late}; "
        f"{time.monotonic() - started:.1f} s; the index is {options.index}"
    )
    return 0


class Bars:
    """One progress bar after the other, on a terminal."""

    def __init__(self) -> None:
        self._bar: object = None
        self._name = ""

    def __enter__(self) -> "Bars":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def show(self, name: str, done: int, of: int) -> None:
        """Show how far `name` is."""
        from tqdm import tqdm  # LanceDB has it with it

        if name != self._name:
            self._close()
            self._bar, self._name = tqdm(total=of, desc=name, unit="", disable=None, leave=False), name
        bar = self._bar
        assert isinstance(bar, tqdm)  # noqa: S101 - made above
        bar.update(done - bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()  # type: ignore[attr-defined]
        self._bar, self._name = None, ""


if __name__ == "__main__":
    sys.exit(main())
