"""The builder's command line: `python -m layer build | fetch | verify | evaluate | ...`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from console import preflight
from console.parser import Parser
from console.run import run
from layer.cli import doctor_command, evaluate_command, init_command, models_command, models_file, outputs, sources
from layer.cli.printer import BUNDLE as BUNDLE
from layer.cli.printer import CACHE as CACHE
from layer.cli.printer import printer as _printer
from layer.errors import BuildError, SourceError, SpecError
from layer.package import EXTRAS
from layer.spec import DEFAULT_SPEC

OWN = "a directory with code of your own: routes, authentication, preprocessing, metrics (docs/extending.md)"
STOPPED = {
    "build": "stopped: the previous bundle is unchanged, and the next build continues from here",
    "fetch": "stopped: the same command continues from here",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. An error is one message on stderr, never a traceback."""
    command = next(iter(sys.argv[1:] if arguments is None else arguments), "")
    return run(lambda: _command(arguments), (BuildError,), STOPPED.get(command, preflight.STOPPED))


def _command(arguments: Sequence[str] | None) -> int | None:
    options = _parser().parse_args(arguments)
    status: int | None = options.run(options)
    return status


def _parser() -> Parser:
    parser = Parser(prog="python -m layer", description="OpenCLIP models as verified offline bundles.")
    names = "init | build | fetch | verify | evaluate | inspect | package | models | doctor"
    commands = parser.add_subparsers(required=True, metavar=names)

    init_command.add(commands)
    _add_build(commands)
    _add_fetch(commands)

    verify = commands.add_parser("verify", help="check hashes, offline load and golden vectors of a bundle")
    verify.add_argument("--bundle", type=Path, default=BUNDLE, help="default: %(default)s")
    verify.add_argument("--extensions", type=Path, metavar="HANDLER_EXT", help=OWN)
    verify.set_defaults(run=_verify)

    inspect = commands.add_parser("inspect", help="print what is in a bundle, or would be in one, with sizes")
    inspect.add_argument("--bundle", type=Path, default=BUNDLE, help="default: %(default)s")
    inspect.add_argument(
        "--models",
        type=Path,
        nargs="?",
        const=DEFAULT_SPEC,
        help="what the models of this models.toml would take, and whether they fit; builds nothing",
    )
    inspect.add_argument("--cache", type=Path, default=CACHE, help="keeps downloads (default: %(default)s)")
    sources.add_option(inspect)
    inspect.set_defaults(run=_inspect)

    evaluate_command.add(commands)
    _add_package(commands)
    models_command.add(commands)
    doctor_command.add(commands)
    for command in commands.choices.values():
        command.add_argument("--json", action="store_true", help="print one JSON document for programs")
    return parser


def _add_package(commands: "argparse._SubParsersAction[Parser]") -> None:
    package = commands.add_parser("package", help="write the image's build context, or the zips, for a bundle's target")
    package.add_argument("--bundle", type=Path, default=BUNDLE, help="default: %(default)s")
    package.add_argument("--output", type=Path, default=BUNDLE.parent, help="default: %(default)s")
    package.add_argument(
        "--cache", type=Path, default=CACHE, help="stores the installed packages (default: %(default)s)"
    )
    package.add_argument("--torch-index-url", help="index of torch's CPU builds; for engine torch only")
    package.add_argument(
        "--with",
        dest="extras",
        action="append",
        default=[],
        choices=EXTRAS,
        help="batch: what writes a batch's results, 35 MB more; search: a second image, of the search function",
    )
    package.add_argument("--extensions", type=Path, metavar="HANDLER_EXT", help=OWN)
    package.set_defaults(run=_package)


def _add_build(commands: "argparse._SubParsersAction[Parser]") -> None:
    build = commands.add_parser("build", help="make a bundle of the models in models.toml, and verify it")
    build.add_argument("--models", type=Path, default=DEFAULT_SPEC, help="models.toml (default: %(default)s)")
    build.add_argument("--output", type=Path, default=BUNDLE, help="default: %(default)s")
    build.add_argument("--cache", type=Path, default=CACHE, help="keeps downloads (default: %(default)s)")
    build.add_argument("--samples", type=Path, help="images and .txt to compare a fast engine with open_clip on, too")
    sources.add_option(build)
    pins = build.add_mutually_exclusive_group()
    pins.add_argument("--locked", action="store_true", help="fail where a commit or a hash is not models.lock's")
    pins.add_argument("--update", action="store_true", help="use the hub's newest commits, and show what changed")
    build.set_defaults(run=_build)


def _add_fetch(commands: "argparse._SubParsersAction[Parser]") -> None:
    fetch = commands.add_parser("fetch", help="make a prepared cache, to build from where there is no network")
    fetch.add_argument("--models", type=Path, default=DEFAULT_SPEC, help="models.toml (default: %(default)s)")
    fetch.add_argument("--output", type=Path, required=True, help="the cache to make, as in --output model_cache")
    fetch.add_argument("--cache", type=Path, default=CACHE, help="keeps downloads (default: %(default)s)")
    sources.add_option(fetch)
    fetch.add_argument("--update", action="store_true", help="use the hub's newest commits, not those of models.lock")
    fetch.add_argument("--xet", action="store_true", help="large files by huggingface_hub's Xet client, where it can")
    fetch.set_defaults(run=_fetch)


# The imports are late: `--help` and a wrong models.toml need not wait for torch.


def _build(options: argparse.Namespace) -> None:
    spec = models_file.read(options.models)
    sources.check_endpoint()
    outputs.check(spec, options)
    from layer.build import build

    show_report = _printer(options).show_report
    from layer.sources.lock import lock_path

    mode = "locked" if options.locked else "update" if options.update else "keep"
    given = sources.of(options)
    report = build(spec, options.output, options.cache, options.samples, lock_path(options.models), mode, given)
    show_report(f"built and verified {options.output}", report)


def _fetch(options: argparse.Namespace) -> None:
    spec = outputs.made_by(models_file.read(options.models), options.output)
    sources.check_endpoint()
    outputs.check(spec, options)
    show_fetched = _printer(options).show_fetched
    from layer.registry.table import weights_repository
    from layer.sources.lock import lock_path
    from layer.sources.portable import fetch

    lock, given = lock_path(options.models), sources.prepared(spec, options, options.cache, options.update)
    update, xet = options.update, options.xet
    contents = fetch(spec, options.output, options.cache, lock, update, xet, given, weights_repository)
    show_fetched(options.output, contents)


def _verify(options: argparse.Namespace) -> None:
    sources.check_endpoint()
    from layer.bundle.verify import verify

    show_report = _printer(options).show_report

    show_report(f"verified {options.bundle}", verify(options.bundle, options.extensions))


def _inspect(options: argparse.Namespace) -> None:
    show = _printer(options)
    if options.models and options.bundle != BUNDLE:
        raise SpecError("--models tells what a build would take, and --bundle what is in one: give one of the two")
    if options.sources and not options.models:
        raise SourceError("a bundle takes nothing of --from: add --models <models.toml>, or leave --from out")
    if options.models:
        spec = models_file.read(options.models)
        sources.check_endpoint()
        from layer.registry.estimate import estimate
        from layer.sources.lock import lock_path, read

        pins, given = read(lock_path(options.models)), sources.of(options)
        show.show_estimate(spec, estimate(spec, options.cache, pins, given))
    else:
        show.show_bundle(options.bundle)


def _package(options: argparse.Namespace) -> None:
    sources.check_endpoint()
    outputs.check_package(options)
    show_package = _printer(options).show_package
    from layer.package.pipeline import package

    index, extras, own = options.torch_index_url, options.extras, options.extensions
    made = package(options.bundle, options.output, options.cache, index, extras, own)
    show_package(options.output, made)
