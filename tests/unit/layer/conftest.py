"""A package asks the registry for what its base has no record of; these tests need no network."""

import pytest

from layer.package import base_image

NO_REGISTRY = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = base_image.ask

    def local(registry: str, repository: str, reference: str) -> str:
        return ask(registry if registry.startswith("http://127.0.0.1:") else NO_REGISTRY, repository, reference)

    monkeypatch.setattr(base_image, "ask", local)
