"""Where models.toml may ask for host blobs: towers as OpenVINO compiled them for one kind of host."""

from collections.abc import Iterable
from typing import Protocol

from layer.engines import ENGINES
from layer.naming.validate import shown

PACKAGES = ("image",)  # zips have little room


class _Model(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def engine(self) -> str: ...


def checked(value: object) -> bool | None:
    """Return `value`, None for false. Raises ValueError, which says what to write, for what is neither."""
    if not isinstance(value, bool):
        raise ValueError(f"is {shown(value)}: write host_blob = true or host_blob = false, without quotes")
    return value or None


def problem(package: str, architecture: str, models: Iterable[_Model]) -> str | None:
    """Say why a target with these models has no host blobs, and what to change; None where it has."""
    drop = "or remove host_blob"
    if package not in PACKAGES:
        return (
            f'package = "{package}": zips have to run on every kind of host, and the blobs would take of the little '
            f'room that Lambda leaves them: set package = "image", {drop}'
        )
    if architecture != "x86_64":
        return f'architecture = "{architecture}": OpenVINO is packaged for x86_64 alone: set that, {drop}'
    for number, model in enumerate(models, 1):
        if not ENGINES[model.engine].host_blobs:
            return (
                f"[[model]] number {number} ({model.id}) is on engine {model.engine}: only openvino compiles a model "
                f'when it starts: set engine = "openvino" for it, {drop}'
            )
    return None
