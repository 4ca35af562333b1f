# SPDX-License-Identifier: MIT
"""The duty of process 1, as which a service runs in a container: to reap what lost its parent."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Container


def reap_orphans(own: Container[int | None]) -> None:
    """Reap ended processes that are not `own` children, for as long as one of these is not found first."""
    with contextlib.suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid in own:
                return
            os.waitpid(ended.si_pid, 0)
