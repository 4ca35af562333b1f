# SPDX-License-Identifier: MIT
"""Exit codes in words."""

from __future__ import annotations

import os
import signal

STUCK = 1
"""The exit code by which faulthandler ends a process that is stuck, and Python one whose imports fail."""
HUNG = f"hung (exit {STUCK})"
_EXIT_CODES = {
    os.EX_OK: "as asked",
    STUCK: "hung or failed at its start",
    os.EX_USAGE: "wrong options",
    os.EX_DATAERR: "identical pictures",
    os.EX_UNAVAILABLE: "no camera",
    os.EX_SOFTWARE: "failed",
    os.EX_CANTCREAT: "another writer",
    os.EX_TEMPFAIL: "stalled",
}
CAMERA_HANGS = (STUCK, os.EX_DATAERR, os.EX_TEMPFAIL)
"""Exit codes of a camera that hangs, which a Raspberry Pi that is short of power or too hot may cause."""


def in_words(exit_code: int | None) -> str:
    """Return why a process ended, as far as its exit code says; minus a number is that of a signal."""
    if exit_code is None:
        return "unknown"
    if exit_code < 0:
        known = {number.value: number.name for number in signal.Signals}  # not the real-time ones
        return f"killed by {known.get(-exit_code, f'signal {-exit_code}')}"
    return f"{_EXIT_CODES.get(exit_code, 'ended')} (exit {exit_code})"
