"""Functions under the emulator, stopped after the test that started them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.local.emulator import Function, running


@pytest.fixture
def start_function(tmp_path: Path) -> Iterator[Callable[..., Function]]:
    """Start functions on a bundle; keyword arguments are environment variables."""
    with ExitStack() as stack:

        def start(bundle: Path, **environ: str) -> Function:
            return stack.enter_context(running(bundle, tmp_path / "cache", environ))

        yield start
