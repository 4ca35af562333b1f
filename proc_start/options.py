# SPDX-License-Identifier: MIT
"""A command line becomes tables of options, and all its faults are told at once.

An option is a field of a dataclass. None stands here: each has its place in the `options.py` of the
package that uses it.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

_log = logging.getLogger(__name__)

_NOTHING = "\0nothing"


@dataclasses.dataclass(frozen=True, slots=True)
class Option:
    """One option: what it expects and means. Its name is that of its field."""

    default: str
    expects: str
    help: str
    parse: Callable[[str], Any]
    alone: str | None
    """What the flag means without a value; None where it needs one."""
    repeatable: bool
    """Whether it may come several times; its value is a tuple then, and empty by default."""


class OptionsError(ValueError):
    """The command line has faults; each of `faults` is one sentence for a person."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


def option(
    default: str,
    *,
    expects: str,
    help: str,
    parse: Callable[[str], Any],
    alone: str | None = None,
    repeatable: bool = False,
) -> Any:
    """Declare a field of a table of options.

    `default` is written as a person would type it, and parsed as such. `parse` raises ValueError
    for what it cannot take; `expects` is what the person is then told.
    """
    about = Option(default, expects, help, parse, alone, repeatable)
    return dataclasses.field(default=() if repeatable else parse(default), metadata={"option": about})


def options_of(table: type[Any]) -> dict[str, Option]:
    """Return the options of `table` by their flags, `--like-this`, in order."""
    return {
        "--" + field.name.replace("_", "-"): field.metadata["option"] for field in dataclasses.fields(table)
    }


_Table = TypeVar("_Table")


class CommandLine:
    """A command line that was read against tables and has no fault."""

    def __init__(self, values: dict[str, Any], texts: dict[str, list[str]]) -> None:
        self._values = values
        self._texts = texts

    def table(self, table: type[_Table]) -> _Table:
        """Return an instance of `table`: what was typed, and defaults for the rest."""
        named = {
            flag[2:].replace("-", "_"): self._values[flag]
            for flag in options_of(table)
            if flag in self._values
        }
        return table(**named)

    def argv(self, table: type[Any]) -> list[str]:
        """Return what was typed of `table`, to be passed on to another process."""
        return [f"{flag}={text}" for flag in options_of(table) for text in self._texts.get(flag, ())]


def read_or_exit(argv: Sequence[str], *tables: type[Any], program: str, about: str) -> CommandLine:
    """Read `argv` as `read_command_line` does; log every fault and exit with 64 where there is one."""
    try:
        return read_command_line(argv, *tables, program=program, about=about)
    except OptionsError as error:
        for fault in error.faults:
            _log.error("%s", fault)
        raise SystemExit(os.EX_USAGE) from error


def read_command_line(argv: Sequence[str], *tables: type[Any], program: str, about: str) -> CommandLine:
    """Read `argv` against the options of all `tables`.

    Raises:
        OptionsError: with one sentence for every unknown option and every wrong value.
        SystemExit: for `--help`, after printing it.
    """
    known = {flag: option for table in tables for flag, option in options_of(table).items()}
    found, unknown = _parser(known, program, about).parse_known_args(list(argv))
    typed: dict[str, list[str]] = vars(found)
    faults = [_unknown(word, known) for word in _without_values(unknown)]
    values: dict[str, Any] = {}
    for flag, texts in typed.items():
        option = known[flag]
        if not option.repeatable:
            del texts[:-1]  # the last one counts
        parsed = []
        for text in texts:
            try:
                parsed.append(_parsed(option, text))
            except ValueError:
                came = "nothing" if text == _NOTHING else repr(text)
                faults.append(f"{flag} expects {option.expects}; {came} came")
        if parsed:
            values[flag] = tuple(parsed) if option.repeatable else parsed[0]
    if faults:
        raise OptionsError(faults)
    return CommandLine(values, typed)


def _parsed(option: Option, text: str) -> Any:
    if text == _NOTHING:
        raise ValueError(text)
    return option.parse(text)


class _Parser(argparse.ArgumentParser):
    """argparse, which exits at its first fault, raises it here."""

    def error(self, message: str) -> NoReturn:
        raise OptionsError([f"{message}; see --help"])


def _parser(known: dict[str, Option], program: str, about: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=program, description=about, allow_abbrev=False, usage="%(prog)s [OPTION=VALUE …]")
    for flag, option in known.items():
        parser.add_argument(
            flag,
            action="append",
            # a value that is missing is a value, told with the other faults
            nargs="?",
            const=_NOTHING if option.alone is None else option.alone,
            default=argparse.SUPPRESS,
            metavar=flag.rsplit("-", 1)[-1].upper(),
            dest=flag,
            help=f"{option.help} (default: {option.default})".replace("%", "%%"),
        )
    return parser


def _without_values(unknown: Sequence[str]) -> list[str]:
    """Leave out what stands behind an unknown option and is most likely its value."""
    before = ["", *unknown]
    return [
        word
        for word, last in zip(unknown, before, strict=False)
        if word.startswith("-") or not last.startswith("-") or "=" in last
    ]


def _unknown(word: str, known: dict[str, Option]) -> str:
    near = difflib.get_close_matches(word.split("=", 1)[0], known, n=1)
    return f"{word!r} is no option; {f'did you mean {near[0]}?' if near else 'see --help'}"


def number(
    kind: Callable[[str], Any], least: float, most: float, *, auto: bool = False
) -> Callable[[str], Any]:
    """Return a parser for a number of [least, most]; with `auto`, that word parses to None."""

    def parse(text: str) -> Any:
        if auto and text == "auto":
            return None
        value = kind(text)
        if not least <= value <= most:
            raise ValueError(text)
        return value

    return parse
