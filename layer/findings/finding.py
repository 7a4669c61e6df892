"""One thing that is wrong: its code in the catalogue, where it is, and what of the general text is particular here."""

from collections.abc import Iterable
from dataclasses import dataclass

from layer.findings.catalogue import CATALOGUE
from layer.findings.printable import printable


@dataclass(frozen=True, order=True)
class Finding:
    """`where` and `detail` come from foreign files: they are made printable here, whoever prints them.

    Raises KeyError for a code that is not in the catalogue.
    """

    code: str
    where: str
    detail: str = ""

    def __post_init__(self) -> None:
        CATALOGUE[self.code]
        object.__setattr__(self, "where", printable(self.where))
        object.__setattr__(self, "detail", printable(self.detail))

    @property
    def fatal(self) -> bool:
        """Tell whether the model does not load, or loads wrongly; otherwise it costs time, space or trust."""
        return CATALOGUE[self.code].severity == "error"

    @property
    def what(self) -> str:
        """What is wrong, and the detail of this place."""
        return CATALOGUE[self.code].what + (f": {self.detail}" if self.detail else "")

    @property
    def fix(self) -> str:
        """What to do."""
        return CATALOGUE[self.code].fix


def worst_first(found: Iterable[Finding]) -> list[Finding]:
    """Sort findings: errors first."""
    return sorted(found, key=lambda finding: (not finding.fatal, finding))
