"""One thing that is wrong: its code in the catalogue, where it is, and what of the general text is particular here."""

from collections.abc import Iterable
from dataclasses import dataclass

from layer.findings.catalogue import CATALOGUE
from layer.findings.printable import printable

MAX_COMMAND = 5000  # characters: Linux takes a path of 4096


@dataclass(frozen=True, order=True)
class Finding:
    """`where` and `detail` come from foreign files: they are made printable here, whoever prints them.

    `command` is what to type. It follows the detail, and is not cut off before its end.

    Raises KeyError for a code that is not in the catalogue.
    """

    code: str
    where: str
    detail: str = ""
    command: str = ""

    def __post_init__(self) -> None:
        CATALOGUE[self.code]
        object.__setattr__(self, "where", printable(self.where))
        object.__setattr__(self, "detail", printable(self.detail))
        object.__setattr__(self, "command", printable(self.command, MAX_COMMAND))

    @property
    def fatal(self) -> bool:
        """Tell whether the model does not load, or loads wrongly; otherwise it costs time, space or trust."""
        return CATALOGUE[self.code].severity == "error"

    @property
    def what(self) -> str:
        """What is wrong, the detail of this place, and its command."""
        return CATALOGUE[self.code].what + (f": {self.detail}" if self.detail else "") + self.command

    @property
    def fix(self) -> str:
        """What to do."""
        return CATALOGUE[self.code].fix


def worst_first(found: Iterable[Finding]) -> list[Finding]:
    """Sort findings: errors first."""
    return sorted(found, key=lambda finding: (not finding.fatal, finding))
