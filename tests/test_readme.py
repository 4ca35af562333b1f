# SPDX-License-Identifier: MIT
"""README says what is true: its options are the program's, its paths answer."""

from __future__ import annotations

import re

from capture_proc.options import CaptureOptions, Picamera2Options
from proc_start.options import options_of
from server_proc.options import ServerOptions
from supervisor_proc.options import SupervisorOptions
from tests.running import CHECKOUT

README = (CHECKOUT / "README.md").read_text()


def test_the_table_of_options_is_the_programs() -> None:
    rows = re.findall(r"^\| `(--[a-z-]+)` \| `([^`]+)` \| (.+) \|$", README, flags=re.MULTILINE)
    expected = [
        (flag, option.default, option.help)
        for table in (SupervisorOptions, CaptureOptions, Picamera2Options, ServerOptions)
        for flag, option in options_of(table).items()
    ]
    assert rows == expected


def test_the_test_command_of_the_readme_is_what_ci_runs() -> None:
    assert "\nmake test\n" in README
    assert "\nmake test\n" in (CHECKOUT / ".ci" / "run").read_text()
