# SPDX-License-Identifier: MIT
"""Whether a Raspberry Pi is short of voltage or throttled: the usual reason why a camera hangs."""

from __future__ import annotations

from pathlib import Path

_THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
_NOW = {0: "under-voltage", 1: "arm frequency capped", 2: "throttled", 3: "soft temperature limit"}
"""Bits of what `vcgencmd get_throttled` tells; 16 bits higher they tell what has been since the boot
(https://www.raspberrypi.com/documentation/computers/os.html#get_throttled)."""
_SINCE_BOOT = 16


def pi_trouble(file: Path = _THROTTLED) -> str:
    """Return in words what is wrong with the Raspberry Pi, nothing where all is well or nobody knows.

    The file is that of the kernel's driver of the firmware; read there and never tried on a Raspberry Pi.
    """
    try:
        bits = int(file.read_text().strip(), 16)
    except (OSError, ValueError):
        return ""
    now = [words for bit, words in _NOW.items() if bits >> bit & 1]
    earlier = [words for bit, words in _NOW.items() if bits >> (bit + _SINCE_BOOT) & 1 and words not in now]
    told = [f"{', '.join(now)} now"] * bool(now) + [f"{', '.join(earlier)} earlier"] * bool(earlier)
    return f"the Raspberry Pi: {'; '.join(told)} ({bits:#x}); check its power supply" if told else ""
