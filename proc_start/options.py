# SPDX-License-Identifier: MIT
"""A command line becomes tables of options, and all its faults are told at once.

An option is a field of a dataclass. None stands here: each has its place in the `options.py` of the
package that uses it.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from proc_start.settings_file import Setting, read_settings

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
    """Whether it may come several times; its value is a tuple then, and empty where the default is none."""
    for_command_line: bool
    """Whether it means nothing in a file of settings."""

    @property
    def defaults(self) -> list[str]:
        """What it has where nothing is given."""
        return [] if self.repeatable and self.default == "none" else [self.default]


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
    for_command_line: bool = False,
) -> Any:
    """Declare a field of a table of options.

    `default` is written as a person would type it, and parsed as such. `parse` raises ValueError
    for what it cannot take; `expects` is what the person is then told.
    """
    about = Option(default, expects, help, parse, alone, repeatable, for_command_line)
    values = tuple(map(parse, about.defaults))
    return dataclasses.field(default=values if repeatable else values[0], metadata={"option": about})


def options_of(table: type[Any]) -> dict[str, Option]:
    """Return the options of `table` by their flags, `--like-this`, in order."""
    return {
        "--" + field.name.replace("_", "-"): field.metadata["option"] for field in dataclasses.fields(table)
    }


_Table = TypeVar("_Table")


class CommandLine:
    """A command line, and perhaps a file of settings, that were read against tables and have no fault."""

    def __init__(
        self, known: dict[str, Option], values: dict[str, Any], given: dict[str, list[Setting]]
    ) -> None:
        self._known = known
        self._values = values
        self._given = given

    def table(self, table: type[_Table]) -> _Table:
        """Return an instance of `table`: what was given, and defaults for the rest."""
        named = {
            flag[2:].replace("-", "_"): self._values[flag]
            for flag in options_of(table)
            if flag in self._values
        }
        return table(**named)

    def argv(self, table: type[Any]) -> list[str]:
        """Return what was given of `table`, to be passed on to another process."""
        return [
            f"{flag}={setting.text}" for flag in options_of(table) for setting in self._given.get(flag, ())
        ]

    def __str__(self) -> str:
        """Return all values as a file of settings can have them, each with where it came from."""
        lines = []
        for flag, option in self._known.items():
            if option.for_command_line:
                continue
            given = self._given.get(flag, ())
            texts = [setting.text for setting in given] or option.defaults
            value = ", ".join(json.dumps(text, ensure_ascii=False) for text in texts)
            where = given[-1].where if given else "default"
            lines.append(f"{flag[2:]} = {f'[{value}]' if option.repeatable else value}  # {where}")
        return "\n".join(lines)


def read_or_exit(
    argv: Sequence[str], *tables: type[Any], program: str, about: str, settings_flag: str | None = None
) -> CommandLine:
    """Read `argv` as `read_command_line` does; log every fault and exit with 64 where there is one."""
    try:
        return read_command_line(argv, *tables, program=program, about=about, settings_flag=settings_flag)
    except OptionsError as error:
        for fault in error.faults:
            _log.error("%s", fault)
        raise SystemExit(os.EX_USAGE) from error


def read_command_line(
    argv: Sequence[str], *tables: type[Any], program: str, about: str, settings_flag: str | None = None
) -> CommandLine:
    """Read `argv` against the options of all `tables`.

    `settings_flag` is the option whose value is a file of settings: what it says holds where the command
    line says nothing.

    Raises:
        OptionsError: with one sentence for every unknown option and every wrong value.
        SystemExit: for `--help`, after printing it.
    """
    known = {flag: option for table in tables for flag, option in options_of(table).items()}
    found, unknown = _parser(known, program, about).parse_known_args(list(argv))
    faults = [_unknown(word, known) for word in _without_values(unknown)]
    given = {
        flag: [Setting(text, "command line", flag) for text in texts] for flag, texts in vars(found).items()
    }
    file = given[settings_flag][-1].text if settings_flag in given else _NOTHING
    if settings_flag and file not in (_NOTHING, "none"):
        in_file, wrong = read_settings(Path(file), known)
        faults += wrong
        alone = [flag for flag, option in known.items() if option.for_command_line]
        for flag in alone:
            faults += [f"{it.told_as} is for the command line alone" for it in in_file.pop(flag, ())]
        given = {**in_file, **given}
    values: dict[str, Any] = {}
    for flag, settings in given.items():
        option = known[flag]
        if not option.repeatable:
            if len(settings) > 1 and settings[-1].told_as != flag:
                faults.append(f"{settings[-1].told_as} expects one value; {len(settings)} came")
            del settings[:-1]  # the last one counts
        parsed = []
        for setting in settings:
            try:
                parsed.append(_parsed(option, setting.text))
            except ValueError:
                came = "nothing" if setting.text == _NOTHING else repr(setting.text)
                faults.append(f"{setting.told_as} expects {option.expects}; {came} came")
        if parsed:
            values[flag] = tuple(parsed) if option.repeatable else parsed[0]
    if faults:
        raise OptionsError(faults)
    return CommandLine(known, values, given)


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
