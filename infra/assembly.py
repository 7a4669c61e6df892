"""One CDK app: its context becomes settings, the build directory a package, and both the stack, checked by cdk-nag."""

from pathlib import Path

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from infra.package import read_package
from infra.settings import StackSettings
from infra.stack import OpenClipStack

HANDLER = Path(__file__).parents[1] / "handler"


def synthesize() -> None:
    """Synthesize with the context that the CDK CLI hands on. Raises what `assemble` raises."""
    app = App()
    assemble(app)
    app.synth()


def assemble(app: App) -> OpenClipStack:
    """Add the stack to the app. Raises SettingsError or PackageError, naming the fix."""
    settings = StackSettings.from_context(app.node.get_all_context())
    package = read_package(settings.build_dir, HANDLER)
    stack = OpenClipStack(app, package=package, settings=settings)
    if settings.search == "s3vectors":
        from infra.vector_stack import VectorStack  # late: most apps have none

        stack.add_dependency(VectorStack(app, package=package, settings=settings))
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return stack
