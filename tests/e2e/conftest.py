"""A Docker engine for every test here."""

from collections.abc import Iterator

import pytest

from tests.e2e import engine


@pytest.fixture(scope="session", autouse=True)
def docker_engine() -> Iterator[None]:
    """Hold a Docker engine while the tests run. Without one they fail, naming the mend: `make test` asks first."""
    with engine.running():
        yield
