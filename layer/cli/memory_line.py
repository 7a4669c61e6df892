"""The line of `inspect` that says how much memory a bundle's function gets, and why."""

from layer.registry.memory_setting import DEARER, NEW_ACCOUNT, Choice

PAGE = "docs/cost.md"


def memory_line(found: Choice, told: int | None) -> str:
    """Return the line; `told` is the setting that models.toml names, in MB."""
    peak = f"peak {found.peak / 1e6:,.0f} MB"
    if found.measured:
        said = f"{found.cheapest:,} MB is cheapest (measured: {PAGE}; {peak}); "
        said += f"{found.fastest:,} is fastest within {DEARER}x"
        if found.default != found.fastest:
            said += f", {found.default:,} up to the {NEW_ACCOUNT:,} of a new account"
    else:
        said = f"{found.default:,} MB, by rule: one vCPU, or what the peak needs ({peak}, estimated from models that "
        said += f"were measured: {PAGE})"
    deployed = f"{told:,}, as models.toml says" if told else f"{found.default:,} unless told"
    return f"memory: {said}. The deployment takes {deployed}"
