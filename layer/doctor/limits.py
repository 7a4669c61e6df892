"""What one examination may cost: time, members, names and contents. Every reader of the doctor counts against it."""

import time

SECONDS = 30  # of one examination, from its start to the report
ADDRESS_SECONDS = 80  # of the questions to a running function, which may take 30 for each
STANDARD_INPUT = "-"  # in place of a path: a log is read from there
MAX_MEMBERS = 250_000  # files and directories: an image with Python and torch has 60,000
MAX_NAME = 4096  # bytes of one path or link, as Linux has it
MAX_NAMES = 32_000_000  # bytes of all paths together
MAX_CONTENT = 128_000_000  # bytes of all files that are read, of which each is one of the below
MAX_HELD = 32_000_000  # bytes of contents kept while an image's layers are read
MAX_TEXT = 1_000_000  # bytes of a config, a reference or a listing
MAX_SOURCE = 300_000  # bytes of a Python module
IN_TIME = 0.75  # of the seconds: then the readers stop, so that the rest is left for the report


class LimitReached(Exception):
    """The examination would cost more than it may; the message names the limit."""


class UnreadableError(Exception):
    """One thing cannot be read: `where` it is, and the reason."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where, self.reason = where, reason


class Budget:
    """What is left. Each method raises LimitReached where nothing is."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds * IN_TIME
        self._left = {
            "members": MAX_MEMBERS,
            "records": MAX_MEMBERS,
            "names": MAX_NAMES,
            "content": MAX_CONTENT,
            "held": MAX_HELD,
        }

    def again(self) -> "Budget":
        """Return the budget of another pass over the same archive: all counts anew, and what is left of the time."""
        other = Budget(self.seconds)
        other._end = self._end
        return other

    def check_time(self) -> None:
        """Stop where the time is up."""
        if time.monotonic() > self._end:
            raise LimitReached(f"the {self.seconds:g} seconds of one examination are over")

    def member(self, name_bytes: int) -> None:
        """Count a file or a directory of a tree, and its name."""
        self._count("members", name_bytes)

    def record(self, name_bytes: int) -> None:
        """Count a record of an image's archive or of its layers, and its name."""
        self._count("records", name_bytes)

    def _count(self, what: str, name_bytes: int) -> None:
        self.check_time()
        self._take(what, 1, f"it has more than {MAX_MEMBERS:,} files and directories")
        self._take("names", name_bytes, f"its paths are longer than {MAX_NAMES:,} bytes together")

    def content(self, size: int) -> None:
        """Count the bytes of a file that was read."""
        self.check_time()
        self._take("content", size, f"its configs and modules are more than {MAX_CONTENT:,} bytes together")

    def held(self, size: int) -> None:
        """Count bytes that are kept until the end."""
        self._take("held", size, f"its layers' configs and modules are more than {MAX_HELD:,} bytes together")

    def _take(self, what: str, count: int, reason: str) -> None:
        self._left[what] -= count
        if self._left[what] < 0:
            raise LimitReached(reason)
