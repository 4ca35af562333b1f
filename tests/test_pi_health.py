# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path

import pytest

from supervisor_proc.pi_health import pi_trouble


@pytest.mark.parametrize(
    ("told", "in_words"),
    [
        ("0", ""),
        ("50005", "the Raspberry Pi: under-voltage, throttled now (0x50005); check its power supply"),
        ("50000", "the Raspberry Pi: under-voltage, throttled earlier (0x50000); check its power supply"),
        ("80001", "the Raspberry Pi: under-voltage now; soft temperature limit earlier (0x80001); "
         "check its power supply"),
        ("no number", ""),
    ],
)  # fmt: skip
def test_it_says_in_words_what_the_firmware_tells_in_bits(told: str, in_words: str, tmp_path: Path) -> None:
    file = tmp_path / "get_throttled"
    file.write_text(told + "\n")
    assert pi_trouble(file) == in_words


def test_other_machines_are_not_in_trouble(tmp_path: Path) -> None:
    assert pi_trouble(tmp_path / "none") == ""
