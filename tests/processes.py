# SPDX-License-Identifier: MIT
"""What a process holds."""

from __future__ import annotations

import re
from pathlib import Path


def descriptors_of(pid: int) -> dict[int, str]:
    """Return what a process's descriptors lead to."""
    found = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[int(link.name)] = str(link.readlink())
        except FileNotFoundError:  # closed meanwhile
            continue
    return found


def own_kib(pid: int) -> int:
    """Return the memory in KiB that is its own, shared pages not counted."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kib) for kib in re.findall(r"^Private_\w+: +(\d+) kB", rollup, flags=re.MULTILINE))
