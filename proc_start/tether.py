# SPDX-License-Identifier: MIT
"""The tie of a child process to its supervisor: neither outlives the other unnoticed."""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import os
import signal
from collections.abc import Iterable

from proc_start.logs import STDERR

_log = logging.getLogger(__name__)

SUPERVISOR_PID = "RINGCAST_SUPERVISOR_PID"
"""The environment variable by which a child knows who must be its parent."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def tie_to_supervisor(inherited: Iterable[int]) -> None:
    """Die with the supervisor, print all stacks on an abort, pass no descriptor on.

    To be called first thing by a child process; `inherited` are the descriptors it was given.
    Without a supervisor (a process started by hand) only the last two are done.
    """
    for descriptor in inherited:
        os.set_inheritable(descriptor, False)  # libcamera starts helpers of its own
    faulthandler.enable(file=STDERR)  # a crash in C code prints its stacks
    faulthandler.register(signal.SIGUSR1, file=STDERR, all_threads=True, chain=False)
    supervisor_pid = os.environ.pop(SUPERVISOR_PID, None)
    if supervisor_pid is None:
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        _log.warning(
            "cannot be tied to the supervisor: %s; if that is killed, this process (pid %d) has to be ended "
            "by hand",
            os.strerror(ctypes.get_errno()),
            os.getpid(),
        )
    # A supervisor that died before the line above sends no signal any more. Its child may have been
    # adopted by any subreaper, so the parent is compared with whom it must be and never with 1.
    if os.getppid() != int(supervisor_pid):
        os._exit(1)
