# SPDX-License-Identifier: MIT
"""Options as a table of dataclass fields; a command line is read once and every fault is told.

Here: what an option is, and how a command line becomes tables. Not here: any option of its own;
those stand in the `options.py` of the package that uses them.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

_NOTHING = "\0nothing"


@dataclasses.dataclass(frozen=True, slots=True)
class Option:
    """One option: what it expects and means. Its name is that of its field."""

    default: str
    expects: str
    help: str
    parse: Callable[[str], Any]


class OptionsError(ValueError):
    """The command line has faults; each of `faults` is one sentence for a person."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


def option(default: str, *, expects: str, help: str, parse: Callable[[str], Any]) -> Any:
    """Declare a field of a table of options.

    `default` is written as a person would type it, and parsed as such. `parse` raises ValueError
    for what it cannot take; `expects` is what the person is then told.
    """
    about = Option(default, expects, help, parse)
    return dataclasses.field(default=parse(default), metadata={"option": about})


def options_of(table: type[Any]) -> dict[str, Option]:
    """Return the options of `table` by their flags, `--like-this`, in order."""
    return {
        "--" + field.name.replace("_", "-"): field.metadata["option"] for field in dataclasses.fields(table)
    }


_Table = TypeVar("_Table")


class CommandLine:
    """A command line that was read against tables and has no fault."""

    def __init__(self, values: dict[str, Any], texts: dict[str, str]) -> None:
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
        return [f"{flag}={self._texts[flag]}" for flag in options_of(table) if flag in self._texts]


def read_command_line(argv: Sequence[str], *tables: type[Any], program: str, about: str) -> CommandLine:
    """Read `argv` against the options of all `tables`.

    Raises:
        OptionsError: with one sentence for every unknown option and every wrong value.
        SystemExit: for `--help`, after printing it.
    """
    parser = argparse.ArgumentParser(prog=program, description=about, allow_abbrev=False)
    known: dict[str, Option] = {}
    for table in tables:
        for flag, about_it in options_of(table).items():
            known[flag] = about_it
            parser.add_argument(
                flag,
                # argparse ends at its first fault: here a missing value is a value, told with the rest
                nargs="?",
                const=_NOTHING,
                default=argparse.SUPPRESS,
                metavar=flag.rsplit("-", 1)[-1].upper(),
                dest=flag,
                help=f"{about_it.help} (default: {about_it.default})".replace("%", "%%"),
            )
    found, unknown = parser.parse_known_args(list(argv))
    faults = [_unknown(word, known) for word in unknown]
    texts: dict[str, str] = vars(found)
    values: dict[str, Any] = {}
    for flag, text in texts.items():
        about_it = known[flag]
        try:
            if text == _NOTHING:
                raise ValueError
            values[flag] = about_it.parse(text)
        except ValueError:
            came = "nothing came" if text == _NOTHING else f"{text!r} came"
            faults.append(f"{flag} expects {about_it.expects}; {came}")
    if faults:
        raise OptionsError(faults)
    return CommandLine(values, texts)


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
