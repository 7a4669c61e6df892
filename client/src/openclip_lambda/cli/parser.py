"""argparse with `--version`, with the nearest right word where one is wrong, and with no address for a path."""

import argparse
import difflib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import shtab

from openclip_lambda import __version__


class Parser(argparse.ArgumentParser):
    """The parser of a command line; subcommands have parsers of the same class."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.register("type", Path, path)  # for every `type=Path`
        is_program = " " not in self.prog.removeprefix("python -m ")  # and not one of its commands
        if is_program and options.get("add_help", True):
            self.add_argument("--version", action="version", version=f"{self.prog} {__version__}")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does; what begins the line is kept for `error`."""
        self._first = next(iter(sys.argv[1:] if args is None else args), "").partition("=")[0]
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Exit with status 2: the usage, then what is wrong and the word that was probably meant."""
        if unknown := re.fullmatch(r"unrecognized arguments: (.*)", message, re.DOTALL):
            words = [word.partition("=")[0] for word in unknown.group(1).split() if word.startswith("-")]
            message += self._unknown(words[0]) if words else ""
        elif choice := re.search(r"invalid choice: '([^']*)'", message):  # perhaps the value of an unknown option
            message += self._misplaced(self._first) or _nearest(choice.group(1), _choices(self))
        super().error(message)

    def _unknown(self, word: str) -> str:
        """Return a hint for an unknown option: where it belongs, if the line began with it, else the nearest one."""
        misplaced = self._misplaced(word) if word == self._first else ""
        return misplaced or _nearest(word, _options(self))

    def _misplaced(self, word: str) -> str:
        """Return the hint at an option of a command that stood before it; nothing for any other word."""
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


def number(least: int, most: int) -> Any:
    """Return what reads a whole number within bounds, for `type=`."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {most}")
        return int(text)

    return read


def add_completion(parser: Parser) -> None:
    """Add `--print-completion SHELL`, which prints a script of the parser's words."""

    class Print(argparse.Action):
        def __call__(self, of: argparse.ArgumentParser, *arguments: Any) -> NoReturn:
            print(shtab.complete(parser, shell=arguments[1]))
            parser.exit(0)

    parser.add_argument(
        "--print-completion",
        action=Print,
        choices=shtab.SUPPORTED_SHELLS,
        metavar="SHELL",
        help=f"print a script that completes the words of this command: {', '.join(shtab.SUPPORTED_SHELLS)}",
    )


def _nearest(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word[:200].lower(), list(known), 1)
    return f"; did you mean {found[0]!r}?" if found else ""


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _actions(inner)


def _commands_with(parser: argparse.ArgumentParser, word: str) -> Iterator[str]:
    """Yield the commands that have an option, those of `batch` too."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from [name] if word in inner._option_string_actions else []
                yield from (f"{name} {below}" for below in _commands_with(inner, word))


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return sorted({option for action in _actions(parser) for option in action.option_strings if len(option) > 2})


def _choices(parser: argparse.ArgumentParser) -> list[str]:
    listed = (action.choices for action in _actions(parser) if isinstance(action.choices, list | tuple | dict))
    return sorted({str(choice) for choices in listed for choice in choices})
