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

from proc_start.logs import run_and_exit, start_logging
from proc_start.options import read_or_exit
from proc_start.tether import tie_to_supervisor
from server_proc.drill import Drill
from server_proc.live.admission import Admission
from server_proc.live.fanout import FanOut, Rings
from server_proc.live.feed import FeedRings
from server_proc.options import ServerDescriptors, ServerOptions
from server_proc.takeover.web_server import WebServer
from server_proc.web.app import create_app
from server_proc.web.doors.host import HostDoor
from server_proc.web.doors.proxies import Proxies, ProxiesDoor
from server_proc.web.status import ServiceFacts
from shm_ring.board import BoardReader, BoardWriter
from shm_ring.doorbell import Doorbell
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment
from shm_ring.status import CaptureStatus, SupervisorStatus

_log = logging.getLogger(__name__)

_SWITCH_INTERVAL_S = 1e-5
"""Every send releases the GIL, and by default another thread that computes then keeps it for 5 ms.
See docs/decisions/0005-one-server-thread-for-all-viewers.md."""
STOP_S = 0.7
"""How long a stop waits for the fan-out after Waitress has ended; the supervisor allows 2 s in all."""
_OTHER_DESCRIPTORS = 256 + 64 + 64
"""Waitress's connections, those that are being disconnected, and the process's own files."""


def main() -> int:
    """Serve until SIGTERM; return the exit code."""
    start_logging("server")
    logging.getLogger("waitress").setLevel(logging.WARNING)  # it logs each client that vanished
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns when a request waits at all
    line = read_or_exit(
        sys.argv[1:],
        ServerOptions,
        ServerDescriptors,
        program="python -m server_proc",
        about="Serve a ring's frames over HTTP; started by supervisor.py.",
    )
    options, descriptors = line.table(ServerOptions), line.table(ServerDescriptors)
    if not descriptors.frames_fd:
        _log.error("the supervisor starts the server; type: make run")
        return os.EX_USAGE
    tie_to_supervisor(
        (
            *descriptors.listen_fd,
            descriptors.frames_fd,
            descriptors.doorbell_fd,
            descriptors.capture_board_fd,
            descriptors.supervisor_board_fd,
            descriptors.server_board_fd,
        )
    )
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    _allow_descriptors(options.max_viewers)
    _serve(options, descriptors)
    return 0


def _allow_descriptors(max_viewers: int) -> None:
    """Raise the soft limit of open files, 1024 by Debian's default, to what the viewers need."""
    needed = max_viewers + _OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))
    if hard < needed:
        _log.warning(
            "--max-viewers %d needs %d open files, but only %d are allowed; lower it, or raise the limit "
            "(ulimit -Hn)",
            max_viewers,
            needed,
            hard,
        )


def _serve(options: ServerOptions, descriptors: ServerDescriptors) -> None:
    width, height = map(int, descriptors.expected_size.split("x"))
    admission = Admission(most=options.max_viewers, most_per_address=options.max_viewers_per_address)
    fan_out = FanOut(
        _rings(descriptors),
        admission,
        web_turns=lambda: web.turns,
        stale_after_s=options.stale_after,
        expected_size=(width, height),
    )
    service = ServiceFacts(
        instance_id=descriptors.instance_id,
        server_pid=os.getpid(),
        admission=admission,
        max_viewers=options.max_viewers,
        max_viewers_per_address=options.max_viewers_per_address,
        started_ns=time.monotonic_ns(),
    )
    proxies, drill = Proxies(options.trusted_proxy), Drill(descriptors.drill_file)
    app = create_app(fan_out, service, ProxiesDoor(proxies), HostDoor(options.allow_host))
    listening = [socket.socket(fileno=descriptor) for descriptor in descriptors.listen_fd]
    web = WebServer(drill.around(app), listening, is_proxy=proxies.trusts)
    signal.signal(signal.SIGTERM, lambda *_: _stop(web, fan_out))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor acts on Ctrl-C
    signal.signal(signal.SIGUSR2, lambda *_: drill.begin())
    fanning = threading.Thread(target=_run_or_die, args=(fan_out,), name="fan-out", daemon=True)
    fanning.start()
    web.run()
    fanning.join(STOP_S)


def _stop(web: WebServer, fan_out: FanOut) -> None:
    """Let both loops end, each with a time limit of its own."""
    web.stop()
    fan_out.stop()


def _rings(descriptors: ServerDescriptors) -> Rings:
    return Rings(
        feed=FeedRings(
            frames=RingReader(_read_only(descriptors.frames_fd)),
            doorbell=Doorbell(descriptors.doorbell_fd),
            capture_board=BoardReader(RingReader(_read_only(descriptors.capture_board_fd)), CaptureStatus),
        ),
        supervisor_board=BoardReader(
            RingReader(_read_only(descriptors.supervisor_board_fd)), SupervisorStatus
        ),
        own_board=BoardWriter(RingWriter(Segment(descriptors.server_board_fd))),
    )


def _read_only(descriptor: int) -> Segment:
    return Segment(descriptor, writable=False)


def _run_or_die(fan_out: FanOut) -> None:
    """Run the fan-out; a process without it must be restarted."""
    try:
        fan_out.run()
    except BaseException:  # noqa: BLE001  whatever it was: crash-only
        _log.exception("the fan-out failed; restarting the server")
        run_and_exit(lambda: os.EX_SOFTWARE)


if __name__ == "__main__":
    run_and_exit(main)
