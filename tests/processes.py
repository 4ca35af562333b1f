# SPDX-License-Identifier: MIT
"""What a process holds."""

from __future__ import annotations

import re
from pathlib import Path


def descriptors(pid: int) -> int:
    """Return how many descriptors are open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def own_kib(pid: int) -> int:
    """Return the memory in KiB that is its own, shared pages not counted."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kib) for kib in re.findall(r"^Private_\w+: +(\d+) kB", rollup, flags=re.MULTILINE))
