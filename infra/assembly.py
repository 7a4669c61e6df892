"""One CDK app: its context becomes settings, the build directory a package, and both the stack, checked by cdk-nag."""

from pathlib import Path

from aws_cdk import Annotations, App, Validations
from cdk_nag import AwsSolutionsChecks

from infra import source_prefix
from infra.errors import PackageError
from infra.package import OWN, Package, read_package
from infra.settings import MAX_MEMORY, StackSettings
from infra.stack import OpenClipStack

HANDLER = Path(__file__).parents[1] / "handler"
SOONER_ON_ONE = {"openvino": "onnx"}  # an engine, and which starts in half of its time on one processor
TWO_THREADS = 2654  # MB, which buy one and a half processors: from there on an engine starts a second thread


def synthesize() -> None:
    """Synthesize with the context that the CDK CLI hands on. Raises what `assemble` raises."""
    app = App()
    try:
        assemble(app)
    except PackageError as error:
        raise PackageError(f"{error}{_of_project(Path.cwd())}") from error
    app.synth()


def _of_project(folder: Path) -> str:
    """Say where the commands of a message run, in a folder that `make` was given as PROJECT; nothing in the checkout.

    Typed in the checkout they would package its own bundle, and the next deployment would say the same.
    """
    if folder == HANDLER.parent or not (folder / "models.toml").is_file():
        return ""
    own = f" with --extensions {OWN}" if (folder / OWN / "__init__.py").is_file() else ""
    return f" (of the project {folder}: `python -m layer` there{own}, and `make` with PROJECT={folder})"


def assemble(app: App) -> OpenClipStack:
    """Add the stack to the app. Raises SettingsError or PackageError, naming the fix."""
    context = app.node.get_all_context()
    # The settings say where the package is, and the package may say the memory. Until it is read, all that Lambda gives
    # is assumed, so that no other setting is too large.
    settings = StackSettings.from_context({"memory": MAX_MEMORY, **context})
    package = read_package(settings.build_dir, HANDLER)
    if "memory" not in context:
        wanted = {"memory": package.memory} if package.memory else {}
        settings = StackSettings.from_context({**context, **wanted})
    stack = OpenClipStack(app, package=package, settings=settings)
    for advice in filter(None, (engine_advice(package, settings), source_prefix.advice(settings.batch_source))):
        Annotations.of(stack).add_info(advice)
    if settings.search == "s3vectors":
        from infra.vector_stack import VectorStack  # late: most apps have none

        # After the function: another bundle has another index, and the old one is deleted with all that is in it. Where
        # the new version fails its health check, the version that serves on needs that index.
        VectorStack(app, package=package, settings=settings).add_stack_dependency(stack)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return stack


def engine_advice(package: Package, settings: StackSettings) -> str | None:
    """Say where another engine would start in half the time; None where none would."""
    slow = next((engine for engine in package.engines if engine in SOONER_ON_ONE), None)
    if slow is None or settings.memory >= TWO_THREADS:
        return None
    return (
        f"memory={settings.memory} buys one processor, on which {slow} takes twice as long to start as "
        f"{SOONER_ON_ONE[slow]}: where cold starts matter, deploy with -c memory=3008, or set memory = "
        f'{settings.memory} in [target] of models.toml, leave engine = "auto", and build again'
    )
