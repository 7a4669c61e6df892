"""The memory of a function, as models.toml says it."""

from layer.naming.validate import shown

LEAST, MOST = 512, 10_240  # MB, as infra/settings.py takes them


def checked(value: object) -> int:
    """Return `value`, in MB. Raises ValueError, which says what to write, for what no function of ours may have."""
    if type(value) is not int or not LEAST <= value <= MOST:
        raise ValueError(f"is {shown(value)}: write memory = 1769, the MB of the function, from {LEAST} to {MOST}")
    return value
