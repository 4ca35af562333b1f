# SPDX-License-Identifier: MIT
"""The log of a process: lines on stderr, each with its time and who says it.

A thread of its own writes them. A log that nobody reads (a stopped terminal, a full pipe) blocks its
writer, and must block neither a frame nor the supervisor.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import queue
import signal
import sys
import time
from collections.abc import Callable
from typing import NoReturn

LAST_ERROR_FD = "RINGCAST_LAST_ERROR_FD"
"""The environment variable by which a child knows where its supervisor reads why it ended."""
_LAST_ERROR_BYTES = 1000

STDERR = 2
"""For faulthandler: it flushes a file object first, and waits for sys.stderr while nobody reads the log."""

_MOST_WAITING = 1000
_FLUSH_S = 1.0

_waiting: queue.Queue[logging.LogRecord] = queue.Queue(_MOST_WAITING)


class _NeverWaitingHandler(logging.handlers.QueueHandler):
    """Hands lines to the thread that writes; those that find no room are lost, and counted."""

    lost = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        if self.lost:
            record.msg = f"{record.msg} (before this, {self.lost} lines of the log were lost)"
        try:
            _waiting.put_nowait(record)
            self.lost = 0
        except queue.Full:
            self.lost += 1


class _LastErrorHandler(logging.Handler):
    """Leaves the last error for the supervisor, in memory that it reads once this process has ended."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(logging.ERROR)
        self._descriptor = descriptor

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, record.getMessage().encode(errors="replace")[:_LAST_ERROR_BYTES], 0)


def start_logging(process: str) -> None:
    """Log from INFO on to stderr in the name of `process`. To be called first thing."""
    _open_standard_descriptors()
    writer = logging.StreamHandler(sys.stderr)
    writer.setFormatter(
        logging.Formatter(
            f"%(asctime)s {process:<10} %(levelname)-7s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"
        )
    )
    everything = logging.getLogger()
    everything.setLevel(logging.INFO)
    everything.addHandler(_NeverWaitingHandler(_waiting))
    last_error = os.environ.pop(LAST_ERROR_FD, "")
    if last_error.isdecimal():
        os.set_inheritable(int(last_error), False)
        everything.addHandler(_LastErrorHandler(int(last_error)))
    logging.handlers.QueueListener(_waiting, writer).start()


def run_and_exit(main: Callable[[], int]) -> NoReturn:
    """Run a process's main and exit with the code that it returns, once the log is written.

    It waits for no thread, and for the log no longer than a second: whatever hangs must not hold the
    process.
    """
    code: object = os.EX_SOFTWARE
    try:
        code = main()
    except SystemExit as asked:
        code = asked.code or os.EX_OK
    except KeyboardInterrupt:  # it came before there was a handler for it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        logging.getLogger(__name__).exception("this should not happen; please report it")
    flush_log()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()  # what --help printed
    os._exit(code if isinstance(code, int) else os.EX_SOFTWARE)


def flush_log() -> None:
    """Wait until the log is written, no longer than a second."""
    deadline = time.monotonic() + _FLUSH_S
    while _waiting.unfinished_tasks and time.monotonic() < deadline:
        time.sleep(0.005)


def _open_standard_descriptors() -> None:
    """Open /dev/null for standard descriptors that are closed: others would take their numbers."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  kept until exit
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  kept until exit
