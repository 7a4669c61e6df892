"""Refuse settings that the CDK CLI and make pass over: the default stack would be deployed to, or destroyed."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping

from infra.errors import SettingsError

OF_MAKE = re.compile(r"(?<=(?<!\\)\s)([A-Za-z_][A-Za-z0-9_-]*)=")  # GNU make escapes the spaces within a value

VARIABLES = ("ARGS", "PROJECT")  # of the Makefile, which decide what is deployed; another spelling does nothing


def refuse(pairs: Iterable[str], rest: Iterable[str], environ: Mapping[str, str]) -> None:
    """Raise SettingsError with the way in which a setting is given.

    `pairs` are the values of -c, `rest` the arguments that are CDK's alone, `environ` what `make` hands on.
    """
    for pair in pairs:
        if "=" not in pair:
            raise SettingsError(f"-c {pair} has no value, and CDK passes over it: write -c {pair}=<value>")
    options = [option[2:].partition("=")[::2] for option in rest if option.startswith("--")]
    variables = [*_of_make(environ)]
    if not options and not variables:
        return
    from infra.settings import StackSettings  # late: it needs what is installed

    names = {_plain(name): name for name in StackSettings.model_fields}
    for name, value in options:
        if ours := names.get(_plain(name)):
            raise SettingsError(f"CDK has no option --{name}, and passes over it: write -c {ours}={value or '<value>'}")
    for name, value in variables:
        if name not in VARIABLES and (meant := difflib.get_close_matches(name.upper(), VARIABLES, cutoff=0.8)):
            raise SettingsError(f'no target of make reads {name}={value}: write {meant[0]}="{value}"')
        if ours := names.get(_plain(name)):
            raise SettingsError(f'no target of make reads {name}={value}: write ARGS="-c {ours}={value}"')


def _of_make(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the variables of make's command line, which it hands on in MAKEFLAGS, and one by one."""
    for found in OF_MAKE.finditer(environ.get("MAKEFLAGS", "")):
        if found[1] in environ:
            yield found[1], environ[found[1]]


def _plain(name: str) -> str:
    return re.sub("[-_]", "", name).lower()
