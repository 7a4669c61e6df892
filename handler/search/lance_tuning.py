"""When a table is indexed, and how many of an index's candidates a query looks at: speed against recall."""

from typing import Any

FLAT_ROWS = 20_000  # up to which every vector is compared: exact, and some 50 ms of one core at 512 dimensions
EVERY = 16  # writes after which small files are put together, and new rows into the index


def query(asked: Any, k: int) -> Any:
    """Set how far a query looks."""
    return asked.nprobes(20).refine_factor(10)


def maintain(table: Any, version: int) -> None:
    """Now and then put small files together and bring new rows into the index."""
