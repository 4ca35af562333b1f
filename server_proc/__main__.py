# SPDX-License-Identifier: MIT
"""`python -m server_proc`: started by the supervisor, which bound the sockets and made the rings."""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import sys
import threading
import time

from proc_start.drills import SERVER_LOOP, ordered_drill
from proc_start.logs import run_and_exit, start_logging
from proc_start.options import read_or_exit
from proc_start.tether import tie_to_supervisor
from server_proc.live.boards import Rings
from server_proc.live.fanout import FanOut
from server_proc.live.house import House
from server_proc.options import ServerDescriptors, ServerOptions
from server_proc.takeover import WebServer
from server_proc.web.app import create_app
from server_proc.web.status import ServiceFacts
from shm_ring.board import BoardReader, BoardWriter
from shm_ring.doorbell import Doorbell
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment

_log = logging.getLogger(__name__)

_SWITCH_INTERVAL_S = 1e-5
"""Every send gives the interpreter lock away, and by default a thread that computes keeps it for 5 ms.
See docs/decisions/0005-one-server-thread-for-all-viewers.md."""
_STOP_TIMEOUT_S = 1.5
_OTHER_DESCRIPTORS = 256 + 64
"""Waitress's connections, and the process's own."""


def main() -> int:
    """Serve until SIGTERM; return the exit code."""
    start_logging("server")
    logging.getLogger("waitress").setLevel(logging.WARNING)  # it tells of each client that vanished
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns when a request waits at all
    line = read_or_exit(
        sys.argv[1:],
        ServerOptions,
        ServerDescriptors,
        program="python -m server_proc",
        about="Serve a ring's frames over HTTP; started by supervisor.py.",
    )
    options, given = line.table(ServerOptions), line.table(ServerDescriptors)
    if not given.frames_fd:
        _log.error("the server needs the rings of a supervisor; type: make run")
        return os.EX_USAGE
    tie_to_supervisor(
        (
            *given.listen_fd,
            given.frames_fd,
            given.doorbell_fd,
            given.capture_board_fd,
            given.supervisor_board_fd,
            given.server_board_fd,
        )
    )
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    _allow_descriptors(options.max_viewers)
    _serve(options, given)
    return 0


def _allow_descriptors(max_viewers: int) -> None:
    """Raise the soft limit of open files, 1024 by Debian's default, to what the viewers need."""
    needed = max_viewers + _OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))
    if hard < needed:
        _log.warning(
            "--max-viewers %d needs %d open files, and only %d are allowed; lower it, or raise the "
            "limit (ulimit -Hn)",
            max_viewers,
            needed,
            hard,
        )


def _serve(options: ServerOptions, given: ServerDescriptors) -> None:
    width, height = map(int, given.expected_size.split("x"))
    fan_out = FanOut(
        _rings(given),
        House(most=options.max_viewers, most_per_address=options.max_viewers_per_address),
        main_loop_turns=lambda: web.turns,
        stale_after_s=options.stale_after,
        expected_size=(width, height),
    )
    service = ServiceFacts(
        instance_id=given.instance_id,
        server_pid=os.getpid(),
        max_viewers=options.max_viewers,
        max_viewers_per_address=options.max_viewers_per_address,
        expected_size=(width, height),
        started_ns=time.monotonic_ns(),
    )
    web = WebServer(create_app(fan_out, service), [socket.socket(fileno=one) for one in given.listen_fd])
    signal.signal(signal.SIGTERM, lambda *_: web.stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's affair
    signal.signal(signal.SIGUSR2, lambda *_: _stand_still(given.drill_file))
    fanning = threading.Thread(target=_run_or_die, args=(fan_out,), name="fan-out", daemon=True)
    fanning.start()
    web.run()
    fan_out.stop()
    fanning.join(_STOP_TIMEOUT_S)


def _stand_still(drill_file: str) -> None:
    """Let Waitress's main loop stand still, if that is the drill that was ordered."""
    if ordered_drill(drill_file) == SERVER_LOOP:
        _log.warning("drill: the main loop stands still, and frames flow on")
        while True:
            time.sleep(3600)


def _rings(given: ServerDescriptors) -> Rings:
    return Rings(
        frames=RingReader(Segment(given.frames_fd)),
        doorbell=Doorbell(given.doorbell_fd),
        capture_board=BoardReader(RingReader(Segment(given.capture_board_fd))),
        supervisor_board=BoardReader(RingReader(Segment(given.supervisor_board_fd))),
        own_board=BoardWriter(RingWriter(Segment(given.server_board_fd))),
    )


def _run_or_die(fan_out: FanOut) -> None:
    """Run the fan-out; a process that lost it can only be restarted."""
    try:
        fan_out.run()
    except BaseException:  # noqa: BLE001  whatever it was: crash-only
        _log.exception("the fan-out ended")
        run_and_exit(lambda: os.EX_SOFTWARE)


if __name__ == "__main__":
    run_and_exit(main)
