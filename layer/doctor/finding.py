"""One thing that is wrong: its stable code, where it is, what it does, and the mend."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Finding:
    """`code` names the pitfall; a finding that is not `fatal` costs time, space or trust, but the model loads."""

    code: str
    where: str
    what: str
    mend: str
    fatal: bool = True
