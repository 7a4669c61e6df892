"""Take out of a runtime tree what never runs in Lambda, by the list in trim.toml, which gives each line its reason."""

import shutil
import tomllib
from pathlib import Path

RULES = Path(__file__).with_name("trim.toml")


def trim(tree: Path) -> None:
    """Delete what the rules match. A rule that matches nothing is none of this tree's packages."""
    for pattern in rules():
        for path in sorted(tree.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)  # a directory before it may have held it


def rules() -> dict[str, str]:
    """Return each pattern (of pathlib, relative to the tree) with the reason why what it matches never runs."""
    return {rule["path"]: rule["reason"] for rule in tomllib.loads(RULES.read_text(encoding="utf-8"))["rule"]}
