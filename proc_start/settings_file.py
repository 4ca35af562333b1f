# SPDX-License-Identifier: MIT
"""A file of settings in TOML: the same options as on the command line, without their dashes."""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Collection
from pathlib import Path


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """A value as somebody gave it, and where."""

    text: str
    where: str
    """`command line`, or the file and the line."""
    told_as: str
    """How a person finds it: a flag, or the file, the line and the key."""


def read_settings(file: Path, flags: Collection[str]) -> tuple[dict[str, list[Setting]], list[str]]:
    """Return the settings of a file by their flags, and a sentence for each fault."""
    try:
        text = file.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except OSError as error:
        return {}, [f"the settings in {file} cannot be read: {error.strerror}; check its name"]
    except ValueError as error:  # not UTF-8, or no TOML
        return {}, [f"{file}: expected settings in TOML, such as fps = 20 ({error})"]
    given: dict[str, list[Setting]] = {}
    faults = []
    for key, value in content.items():
        flag, line = f"--{key.replace('_', '-')}", _line_of(key, text)
        told_as, items = f"{file}, line {line}: {key}", value if isinstance(value, list) else [value]
        if flag not in flags:
            near = difflib.get_close_matches(flag, flags, n=1)
            advice = f"did you mean {near[0][2:]}?" if near else "see --help"
            faults.append(f"{told_as} is no option; {advice}")
        elif not all(isinstance(item, str | int | float) for item in items):
            faults.append(f"{told_as} expects a text, a number or true or false; {value!r} came")
        else:
            given[flag] = [Setting(_as_typed(item), f"{file}, line {line}", told_as) for item in items]
    return given, faults


def _as_typed(item: str | float) -> str:
    """Return a value as it would be typed behind a flag."""
    if isinstance(item, bool):
        return "yes" if item else "no"
    return str(item)


def _line_of(key: str, text: str) -> int:
    """Return the line that a key stands in; the parser does not tell."""
    name = re.escape(key)
    found = re.search(rf"""^\s*(\[+\s*{name}|["']?{name}["']?\s*=)""", text, flags=re.MULTILINE)
    return text.count("\n", 0, found.end()) + 1 if found else 1
