# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path

import pytest

from supervisor_proc.board_health import board_trouble


@pytest.mark.parametrize(
    ("told", "in_words"),
    [
        ("0", ""),
        ("50005", "the board: under-voltage, throttled now (0x50005); check its power supply"),
        ("50000", "the board: under-voltage, throttled earlier (0x50000); check its power supply"),
        ("80001", "the board: under-voltage now; soft temperature limit earlier (0x80001); "
         "check its power supply"),
        ("no number", ""),
    ],
)  # fmt: skip
def test_it_says_in_words_what_the_firmware_tells_in_bits(told: str, in_words: str, tmp_path: Path) -> None:
    file = tmp_path / "get_throttled"
    file.write_text(told + "\n")
    assert board_trouble(file) == in_words


def test_other_machines_are_not_in_trouble(tmp_path: Path) -> None:
    assert board_trouble(tmp_path / "none") == ""
