# SPDX-License-Identifier: MIT
"""Faults on purpose: what they are called, and the file by which a running service is told of one.

Its name is written into the file, then SIGUSR2 says to begin, first to the supervisor and by it to the
process that is to fail. docs/drills.md tells what is to be seen.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

OF_CAMERAS = (
    "hang", "block", "hold-interpreter", "crash", "raise", "exit", "exit-0", "slow", "same-picture",
    "frozen-scene", "encoder-stuck", "truncated", "wrong-size", "ignore-sigterm",
)  # fmt: skip
"""What the capture process does to itself."""
AT_EACH_START = "@1"
"""Behind a camera's fault: from the first picture of each capture process on, until `END`."""

BY_SIGNAL = {
    f"{process}-{harm}": number
    for process in ("capture", "server", "supervisor")
    for harm, number in (("kill", signal.SIGKILL), ("freeze", signal.SIGSTOP))
}
SERVER_LOOP = "server-loop"
"""Waitress's main loop stands still, and frames flow on."""
SERVER_WORKER = "server-worker"
"""Waitress's worker, which answers all requests, stands still with the next of them."""
END = "end"

FAULTS = (
    *(f"camera-{fault}" for fault in OF_CAMERAS),
    *(f"camera-{fault}{AT_EACH_START}" for fault in OF_CAMERAS),
    SERVER_LOOP,
    SERVER_WORKER,
    *BY_SIGNAL,
    END,
)


def drill_file(runtime_directory: Path, instance: str) -> Path:
    """Return the file by which an instance is told."""
    return runtime_directory / f"ringcast-{instance}.drill"


def order_drill(file: Path, fault: str) -> None:
    """Write a fault's name, at once and not in pieces.

    Somebody else may own the folder: a link that was planted there is replaced and not followed.

    Raises:
        OSError: it cannot be written.
    """
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with open(descriptor, "w") as order:
        order.write(fault)
    new.replace(file)


def ordered_drill(file: str | os.PathLike[str]) -> str:
    """Return the fault that is ordered, nothing where none is."""
    try:
        return Path(file).read_text()
    except OSError:
        return ""
