"""Numbers of things in messages."""


def counted(number: int, thing: str) -> str:
    """Write how many of a thing there are: `1 image`, `2 images`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
