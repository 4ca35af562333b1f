# SPDX-License-Identifier: MIT
"""Which of this process's threads the kernel prefers."""

from __future__ import annotations

import os
import threading

_NICE = 10


def step_back(thread: threading.Thread | None = None) -> None:
    """Let the kernel prefer all others to a thread, the current one unless another is named.

    A nice value is a thread's own on Linux (sched(7)). It cannot be taken back without privileges.
    """
    native_id = threading.get_native_id() if thread is None else thread.native_id
    if native_id is not None:
        os.setpriority(os.PRIO_PROCESS, native_id, _NICE)
