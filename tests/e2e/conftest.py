"""A Docker engine for every test here, and one emulated AWS account with a stack of each shape."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e import aws, builds, collection, engine, issuer
from tests.e2e.aws import Aws
from tests.e2e.deployment import Deployment
from tests.e2e.issuer import Issuer
from tests.e2e.stand_in import base_image


@pytest.fixture(scope="session", autouse=True)
def docker_engine() -> Iterator[None]:
    """Hold a Docker engine while the tests run. Without one they fail, naming the fix: `make test` asks first."""
    with engine.running():
        yield


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    """Hold an issuer of JWTs, which the emulator trusts."""
    with issuer.running(tmp_path_factory.mktemp("issuer")) as running:
        yield running


@pytest.fixture(scope="session")
def account(docker_engine: None, tokens: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """Hold an emulated AWS account, bootstrapped for CDK: one for all stacks of the run."""
    log = tmp_path_factory.mktemp("aws") / "emulator.log"
    with aws.running(base_image("3.13"), log, tokens.certificate) as running:
        aws.bootstrap(running)
        yield running


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Return what makes packaged builds by shape and precision; see builds.py."""
    return builds.factory(tmp_path_factory.mktemp("builds"))


@pytest.fixture(scope="session", params=["image", "layer"])
def stack(
    request: pytest.FixtureRequest,
    account: Aws,
    build: Callable[[str, str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    """Hold one shape's stack with the default settings: test_deploy.py asks it, then test_update.py changes it."""
    deployment = Deployment(account, f"openclip-{request.param}", request.param, tmp_path_factory.mktemp(request.param))
    try:
        deployment.deploy(build(request.param, "int8"))
        deployment.warm()
        yield deployment
    finally:
        if not deployment.destroyed():
            deployment.destroy()


@pytest.fixture(scope="session", params=["image", "layer"])
def batch(
    request: pytest.FixtureRequest,
    account: Aws,
    build: Callable[[str, str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    """Hold one shape's stack that embeds a bucket: test_batch.py runs it, then test_search.py searches it."""
    bundle = build(request.param, "int8") / "bundle"
    with collection.deployed(account, request.param, bundle, tmp_path_factory.mktemp(f"batch-{request.param}")) as one:
        yield one
