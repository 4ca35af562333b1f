# SPDX-License-Identifier: MIT
"""Which of this process's threads the kernel prefers."""

from __future__ import annotations

import os
import threading

_NICE = 10


def step_back(thread: threading.Thread) -> None:
    """Let the kernel prefer all other threads to this one.

    A nice value is a thread's own on Linux (sched(7)). It cannot be taken back without privileges.
    """
    if thread.native_id is not None:
        os.setpriority(os.PRIO_PROCESS, thread.native_id, _NICE)
