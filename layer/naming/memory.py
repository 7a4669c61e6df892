"""The memory of a function, as models.toml says it."""

from layer.naming.validate import shown

MIN_MB, MAX_MB = 512, 10_240  # as infra/settings.py has them


def checked(value: object) -> int:
    """Return `value`, in MB. Raises ValueError, which says what to write, for what no function of ours may have."""
    if type(value) is not int or not MIN_MB <= value <= MAX_MB:
        raise ValueError(f"is {shown(value)}: write memory = 1769, the MB of the function, from {MIN_MB} to {MAX_MB}")
    return value
