# SPDX-License-Identifier: MIT
"""Ringcast's main program: it starts the capture and the server process, watches and restarts them.

One thread and one poll. It holds all that must outlive a child: the shared memory, the listening
sockets, the doorbell. When it dies, its children die with it and nothing is left behind.
"""

from __future__ import annotations

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Ctrl-C during the imports: Python loses a KeyboardInterrupt that is raised in a callback there
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import logging
import os
import secrets
import select
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from capture_proc.options import (
    DEFAULT_FPS,
    DEFAULT_SIZE,
    CaptureCommands,
    CaptureOptions,
    Picamera2Options,
    expected_size,
    first_frame_timeout_or_default,
    stall_timeout_or_default,
)
from proc_start import drills
from proc_start.logs import flush_log, run_and_exit, start_logging
from proc_start.options import read_or_exit
from server_proc.options import ServerOptions
from shm_ring.board import BoardReader, BoardWriter
from shm_ring.errors import SegmentError
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment
from shm_ring.status import CaptureStatus, ServerStatus, SupervisorStatus
from supervisor_proc.child import KEEP_BUFFERS, Child, Watch, become
from supervisor_proc.errors import ServiceError
from supervisor_proc.instance import AlreadyRunningError, lock_instance, runtime_directory
from supervisor_proc.listening import listen, remove_files_of, urls
from supervisor_proc.options import SupervisorOptions
from supervisor_proc.orphans import reap_orphans
from supervisor_proc.restart_policy import Limits, State, Timing
from supervisor_proc.sentence import in_a_sentence
from supervisor_proc.shared_memory import LEAST_SLOT_BYTES, SharedMemory, create_shared_memory
from supervisor_proc.systemd import ActivationError, Notifier, bound_by_systemd

_log = logging.getLogger(__name__)

_TICK_MS = 100
_BOARD_S = 1.0
_PAUSE_S = 1.0
_STOP_S = 8.0
_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_OPENING_S = 10.0
"""How long a camera may take to be opened."""
_FIRST_BOARD_S = 10.0
_OFFER_MARGIN_S = 3.0
"""The server tells once a second what it had for viewers; a late one is not taken for none."""
_SUPERVISORS_MARGIN_S = 1.0
"""The capture process ends by itself at the stall limit; so much later it is taken for hung."""


def main(argv: Sequence[str]) -> int:
    """Run the service until SIGTERM, SIGINT or SIGHUP; return the exit code."""
    start_logging("supervisor")
    signals = _signals_as_bytes()
    line = read_or_exit(
        argv,
        SupervisorOptions,
        CaptureOptions,
        CaptureCommands,
        Picamera2Options,
        ServerOptions,
        program="supervisor.py",
        about="Live video from a camera to many viewers at once. See README.md.",
        settings_flag="--config",
    )
    options, capture = line.table(SupervisorOptions), line.table(CaptureOptions)
    if options.print_config:
        print(line)
        return os.EX_OK
    if line.table(CaptureCommands).list_cameras:
        become("capture", [*line.argv(CaptureCommands), *line.argv(Picamera2Options)])
    try:
        lock_instance(options.instance)
        width, height = capture.size or DEFAULT_SIZE
        slot_bytes = options.slot_bytes or max(LEAST_SLOT_BYTES, width * height)
        memory = create_shared_memory(options.instance, slot_bytes)
        handed_down = bound_by_systemd(os.environ)
        own = [] if handed_down else listen(options.listen)
    except AlreadyRunningError as error:
        _log.error("%s", error)
        return os.EX_CANTCREAT
    except ActivationError as error:
        _log.error("%s", error)
        return os.EX_CONFIG
    except ServiceError as error:
        _log.error("%s", error)
        return os.EX_UNAVAILABLE
    except SegmentError as error:
        _log.error("%s", error)
        return os.EX_OSERR
    stall_timeout_s = stall_timeout_or_default(capture.stall_timeout_s, 1 / (capture.fps or DEFAULT_FPS))
    first_frame_timeout_s = first_frame_timeout_or_default(capture.first_frame_timeout_s, stall_timeout_s)
    drill_file = drills.drill_file(runtime_directory(), options.instance)
    drill_file.unlink(missing_ok=True)
    try:
        return Supervisor(
            signals,
            Service([*handed_down, *own], memory, drill_file),
            Notifier(os.environ),
            capture_arguments=[*line.argv(CaptureOptions), *line.argv(Picamera2Options)],
            server_arguments=[
                *line.argv(ServerOptions),
                "--expected-size={}x{}".format(*expected_size(capture)),
            ],
            capture_limits=_capture_limits(stall_timeout_s, first_frame_timeout_s),
            server_timeout_s=options.server_timeout_s,
            timing=Timing(options.backoff_s, options.backoff_most_s),
        ).run()
    finally:
        remove_files_of(own)


@dataclass(frozen=True, slots=True)
class Service:
    """What outlives every child."""

    listening: Sequence[socket.socket]
    memory: SharedMemory
    drill_file: Path


class Supervisor:
    """The poll loop. For the main thread, once per process."""

    def __init__(
        self,
        signals: int,
        service: Service,
        systemd: Notifier,
        *,
        capture_arguments: Sequence[str],
        server_arguments: Sequence[str],
        capture_limits: Limits,
        server_timeout_s: float = 5.0,
        timing: Timing = Timing(),
    ) -> None:
        """Take what was made for the service, and what its children are told.

        `signals` is the descriptor from which the numbers of arrived signals are read.
        """
        memory = service.memory
        self._signals = signals
        self._service = service
        self._systemd = systemd
        self._frames = RingReader(Segment(memory.frames_fd, writable=False))
        self._capture_board = BoardReader(
            RingReader(Segment(memory.capture_board_fd, writable=False)), CaptureStatus
        )
        self._server_board = BoardReader(
            RingReader(Segment(memory.server_board_fd, writable=False)), ServerStatus
        )
        self._board = BoardWriter[SupervisorStatus](RingWriter(Segment(memory.supervisor_board_fd)))
        self._board_due_s = 0.0
        self._told_on_board: SupervisorStatus | None = None
        self._heard: object = None
        self._server_was_ready = False
        self._exit_code = os.EX_OK
        self._give_up_s = float("inf")
        now_s = time.monotonic()
        by_drill_file = f"--drill-file={service.drill_file}"
        self._capture = Child(
            "capture",
            [*capture_arguments, by_drill_file],
            descriptors=memory.for_capture().items(),
            environment=KEEP_BUFFERS,
            watch=Watch(self._camera_gives, "new frames in the ring", capture_limits),
            now_s=now_s,
            timing=timing,
            hopeless=self._is_hopeless,
        )
        self._server = Child(
            "server",
            [*server_arguments, by_drill_file, f"--instance-id={secrets.token_hex(4)}"],
            descriptors=[
                *(("--listen-fd", listening.fileno()) for listening in service.listening),
                *memory.for_server().items(),
            ],
            watch=Watch(
                self._server_beats,
                "its heartbeat: Waitress's two threads and the fan-out move",
                Limits(_FIRST_BOARD_S, server_timeout_s),
            ),
            now_s=now_s,
            timing=timing,
        )
        self._children = (self._capture, self._server)
        self._offered: object = None
        self._offered_s = now_s

    def run(self) -> int:
        """Watch the children until the service is stopped; return the exit code."""
        now_s = time.monotonic()
        while left := [child for child in self._children if child.policy.state is not State.DONE]:
            self._wait()
            turn_s, now_s = now_s, time.monotonic()
            if now_s - turn_s > _PAUSE_S:
                self._forgive(now_s - turn_s)
            if now_s >= self._give_up_s:
                _log.error("stopped, but still there: %s", ", ".join(f"{it.name} {it.pid}" for it in left))
                break
            for number in _arrived(self._signals):
                self._on_signal(number, now_s)
            self._follow_capture_limits()
            for child in self._children:
                child.tick(now_s)
            if os.getpid() == 1:
                reap_orphans([child.pid for child in self._children])
            self._end_without_hope(now_s)
            self._tell_when_ready()
            self._write_board(now_s)
            self._tell_systemd(now_s)
        else:
            _log.info("stopped")
        return self._exit_code

    def _forgive(self, pause_s: float) -> None:
        """Move all deadlines on after a pause of this process: the whole machine may have paused."""
        _log.warning("the supervisor itself stood still for %.1f s", pause_s)
        for child in self._children:
            child.policy.deadline_s += pause_s

    def _wait(self) -> None:
        poll = select.poll()
        for descriptor in (self._signals, *(child.fileno() for child in self._children)):
            if descriptor is not None:
                poll.register(descriptor, select.POLLIN)
        poll.poll(_TICK_MS)

    def _on_signal(self, number: int, now_s: float) -> None:
        if number in _STOPS:
            _log.info("%s: stopping", signal.Signals(number).name)
            self._stop(now_s)
        elif number == signal.SIGUSR1:
            _log.info("SIGUSR1: the camera is restarted")
            self._capture.restart(now_s)
        elif number == signal.SIGUSR2:
            self._drill(now_s)

    def _drill(self, now_s: float) -> None:
        """Make the fault on purpose that was ordered."""
        fault = drills.ordered_drill(self._service.drill_file)
        child = self._server if fault.startswith("server") else self._capture
        pid = os.getpid() if fault.startswith("supervisor") else child.pid
        if fault not in drills.FAULTS:
            _log.warning("SIGUSR2 is for drills: python -m supervisor_proc.drill --help")
        elif fault == drills.END:
            self._service.drill_file.unlink()
            _log.warning("drill: ended; the camera is restarted")
            self._capture.restart(now_s)
        elif pid is None or child.policy.state is not State.RUNNING:
            _log.warning("drill: the %s process does not run right now; order it again", child.name)
        else:
            _log.warning("drill: %s, by the process with pid %d", fault, pid)
            flush_log()
            by_drill = signal.SIGKILL if fault.endswith(drills.AT_EACH_START) else signal.SIGUSR2
            os.kill(pid, drills.BY_SIGNAL.get(fault, by_drill))

    def _stop(self, now_s: float) -> None:
        self._systemd.say("STOPPING=1")
        self._give_up_s = min(self._give_up_s, now_s + _STOP_S)
        for child in self._children:
            child.stop(now_s)

    def _camera_gives(self) -> int:
        """Return a counter of frames; one that fits no slot shows as well that the camera works."""
        return self._frames.publishes + self._frames.dropped_too_big

    def _server_beats(self) -> int:
        reading = self._server_board.read()
        return reading.row.alive_ns if reading else 0

    def _follow_capture_limits(self) -> None:
        """Take the time limits from capture's board: they follow from the footage's own frame rate."""
        told = self._capture_board.read()
        if told is not None:
            self._capture.policy.limits = _capture_limits(
                told.row.stall_timeout_s, told.row.first_frame_timeout_s
            )

    def _is_hopeless(self, exit_code: int) -> bool:
        """A wrong option is not tried again; a camera that once gave a frame always is."""
        return exit_code == os.EX_USAGE and self._frames.publishes == 0

    def _end_without_hope(self, now_s: float) -> None:
        """End the service when the capture process can never work."""
        if self._capture.without_hope and not self._exit_code:
            self._exit_code = os.EX_USAGE
            self._stop(now_s)

    def _tell_when_ready(self) -> None:
        if not self._server_was_ready and self._server.policy.state is State.RUNNING:
            self._server_was_ready = True
            self._systemd.say("READY=1")
            for listening in self._service.listening:
                for url in urls(listening):
                    if listening.family == socket.AF_UNIX:
                        _log.info("watch at %s (through a proxy)", url)
                    else:
                        _log.info("watch at %s/ (the stream alone: %s/stream)", url, url)

    def _write_board(self, now_s: float) -> None:
        status = SupervisorStatus(pid=os.getpid(), capture=self._capture.status, server=self._server.status)
        if status != self._told_on_board or now_s >= self._board_due_s:
            self._board.write(status)
            self._told_on_board = status
            self._board_due_s = now_s + _BOARD_S

    def _tell_systemd(self, now_s: float) -> None:
        """Say how it is, and that all is well while viewers are shown something or there are none."""
        server, camera = self._server_board.read(), self._capture_board.read()
        heard = (server, camera, self._told_on_board)
        if heard != self._heard:
            self._heard = heard
            self._systemd.status(
                in_a_sentence(
                    self._capture.status,
                    self._server.status,
                    camera.row if camera else None,
                    server.row if server else None,
                )
            )
        viewers = server.row.viewers if server else 0
        offered = server and (server.row.pid, server.row.offered)
        if offered != self._offered:
            self._offered, self._offered_s = offered, now_s
        offer_every_s = server.row.offer_every_s if server else 0.0
        flows = not viewers or now_s - self._offered_s <= offer_every_s + _OFFER_MARGIN_S
        if flows and self._server.policy.state is State.RUNNING:
            self._systemd.feed_watchdog(now_s)


def _capture_limits(stall_timeout_s: float, first_frame_timeout_s: float) -> Limits:
    """Return the deadlines of a capture process that ends by itself at these limits."""
    return Limits(first_frame_timeout_s + _OPENING_S, stall_timeout_s + _SUPERVISORS_MARGIN_S)


def _signals_as_bytes() -> int:
    """Turn signals into bytes of a pipe, and return its end to read.

    Not a signalfd: the mask that it needs would be inherited by children.
    """
    to_read, to_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(to_write, warn_on_full_buffer=False)
    for number in (*_STOPS, signal.SIGUSR1, signal.SIGUSR2):
        by_nohup = number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN
        if not by_nohup:
            signal.signal(number, lambda *_: None)
    return to_read


def _arrived(signals: int) -> list[int]:
    try:
        return list(os.read(signals, 64))
    except BlockingIOError:
        return []


if __name__ == "__main__":
    run_and_exit(lambda: main(sys.argv[1:]))
