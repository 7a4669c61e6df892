"""argparse with three additions: a wrong word names the nearest right one, `--version`, and no address for a path."""

import argparse
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from console.suggest import did_you_mean
from console.version import version

_UNKNOWN = re.compile(r"unrecognized arguments: (.*)", re.DOTALL)
_CHOICE = re.compile(r"invalid choice: '([^']*)'")


class Parser(argparse.ArgumentParser):
    """The parser of a command line; subcommands have parsers of the same class."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.register("type", Path, path)  # for every `type=Path`
        is_program = " " not in self.prog.removeprefix("python -m ")  # and not one of its commands
        if is_program and options.get("add_help", True):
            self.add_argument("--version", action="version", version=f"{self.prog} {version()}")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does; what begins the line is kept for `error`."""
        self._first = next(iter(sys.argv[1:] if args is None else args), "").partition("=")[0]
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Exit with status 2: the usage, then what is wrong and the word that was probably meant."""
        hint = ""
        if unknown := _UNKNOWN.fullmatch(message):
            words = [word.partition("=")[0] for word in unknown.group(1).split() if word.startswith("-")]
            hint = self._unknown(words[0]) if words else ""
        elif choice := _CHOICE.search(message):  # perhaps the value of an unknown option
            hint = self._misplaced(self._first) or did_you_mean(choice.group(1), _choices(self))
        super().error(message + hint)

    def _unknown(self, word: str) -> str:
        """Return a hint for an unknown option: where it belongs, if the line began with it, else the nearest one."""
        misplaced = self._misplaced(word) if word == self._first else ""
        return misplaced or did_you_mean(word, _options(self))

    def _misplaced(self, word: str) -> str:
        """Return a hint for an option that belongs behind a command and stood before it; nothing for any other word."""
        commands = sorted(_commands_with(self, word))
        if not commands:
            return ""
        command = commands[0] if len(commands) == 1 else "<command>"
        return f"; {word} stands after the command: {self.prog} {command} {word}"


def path(text: str) -> Path:
    """Read a path. No shell replaces the ~ of `--output=~/x`, and of an address a directory would be made here."""
    if "://" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is an address: name a path on this machine")
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path's raises where there is no such user


def count(text: str) -> int:
    """Read a whole number above 0, for `type=`; argparse tells what is wrong."""
    if text.isascii() and text.isdecimal() and 0 < len(text) < 10 and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0: give one, as 5")


def port(text: str) -> int:
    """Read a TCP port, 0 for any that is free, for `type=`."""
    if text.isascii() and text.isdecimal() and len(text) < 6 and int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a number from 0 (any that is free) to 65535")


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _actions(inner)


def _commands_with(parser: argparse.ArgumentParser, word: str) -> Iterator[str]:
    """Yield the commands that have an option that the parser itself does not have."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from (name for name, inner in action.choices.items() if word in inner._option_string_actions)


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return sorted({option for action in _actions(parser) for option in action.option_strings if len(option) > 2})


def _choices(parser: argparse.ArgumentParser) -> list[str]:
    listed = (action.choices for action in _actions(parser) if isinstance(action.choices, list | tuple | dict))
    return sorted({str(choice) for choices in listed for choice in choices})
