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
import select
import socket
import sys
import time
from collections.abc import Sequence

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
from shm_ring.errors import SegmentError
from shm_ring.status import SupervisorStatus
from supervisor_proc.child import Child
from supervisor_proc.children import Service, capture_child, capture_limits, follow_capture, server_child
from supervisor_proc.errors import ServiceError
from supervisor_proc.health import Health
from supervisor_proc.instance import AlreadyRunningError, lock_instance, runtime_directory
from supervisor_proc.listening import listen, remove_files_of, urls
from supervisor_proc.options import SupervisorOptions
from supervisor_proc.orphans import reap_orphans
from supervisor_proc.pi_health import PiHealth
from supervisor_proc.process import become
from supervisor_proc.restart_policy import State, Timing
from supervisor_proc.sentence import in_a_sentence
from supervisor_proc.shared_memory import LEAST_SLOT_BYTES, Rings, create_shared_memory
from supervisor_proc.systemd import ActivationError, Notifier, bound_by_systemd

_log = logging.getLogger(__name__)

_TICK_MS = 100
_BOARD_S = 1.0
_PAUSE_S = 1.0
_STOP_S = 8.0
_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


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
    systemd = Notifier(os.environ)
    service = Service([*handed_down, *own], memory, Rings(memory), drill_file)
    pi_health = PiHealth()
    timing, now_s = Timing(options.backoff_s, options.backoff_most_s), time.monotonic()
    of_camera = [*line.argv(CaptureOptions), *line.argv(Picamera2Options)]
    of_server = [*line.argv(ServerOptions), "--expected-size={}x{}".format(*expected_size(capture))]
    try:
        return Supervisor(
            signals,
            service,
            systemd,
            capture=capture_child(
                service,
                of_camera,
                capture_limits(stall_timeout_s, first_frame_timeout_s),
                now_s,
                timing,
                pi_health.trouble,
            ),
            server=server_child(service, of_server, options.server_timeout_s, now_s, timing),
            pi_health=pi_health,
            stays=systemd.listens or bool(handed_down),
        ).run()
    finally:
        remove_files_of(own)


class Supervisor:
    """The poll loop. For the main thread, once per process."""

    def __init__(
        self,
        signals: int,
        service: Service,
        systemd: Notifier,
        *,
        capture: Child,
        server: Child,
        pi_health: PiHealth | None = None,
        stays: bool = False,
    ) -> None:
        """Take what was made for the service, and its children.

        `signals` is the descriptor from which the numbers of arrived signals are read. A service that
        `stays` goes on serving when the camera can never work, and shows why.
        """
        self._signals = signals
        self._service = service
        self._rings = service.rings
        self._systemd = systemd
        self._capture, self._server = capture, server
        self._children = (capture, server)
        self._health = Health(time.monotonic())
        self._board_due_s = 0.0
        self._on_board: SupervisorStatus | None = None
        self._heard: object = None
        self._server_was_ready = False
        self._drill_due = ""
        self._exit_code = os.EX_OK
        self._pi_health = pi_health or PiHealth()
        self._stays = stays
        self._camera_is_done = False
        self._stopping = False
        self._stop_was_moved = False
        self._give_up_s = float("inf")

    def run(self) -> int:
        """Watch the children until the service is stopped; return the exit code."""
        now_s = time.monotonic()
        while left := [child for child in self._children if child.policy.state is not State.DONE]:
            self._wait()
            turn_s, now_s = now_s, time.monotonic()
            if now_s - turn_s > _PAUSE_S:
                self._forgive(now_s - turn_s - _TICK_MS / 1000)
            if now_s >= self._give_up_s:
                _log.error("stopped, but still there: %s", ", ".join(f"{it.name} {it.pid}" for it in left))
                break
            for number in _arrived(self._signals):
                self._on_signal(number, now_s)
            self._pi_health.sample(now_s)
            follow_capture(self._capture, self._rings.capture_board.read(), now_s)
            for child in self._children:
                child.tick(now_s)
            self._drill()
            if os.getpid() == 1:
                reap_orphans([child.pid for child in self._children])
            self._end_without_camera(now_s)
            self._tell_when_ready()
            self._write_board(now_s)
            self._tell_systemd(now_s)
        else:
            _log.info("stopped")
        return self._exit_code

    def _forgive(self, pause_s: float) -> None:
        """Move all deadlines after a pause of this process: the whole machine may have paused."""
        _log.warning("the supervisor itself stood still for %.1f s", pause_s)
        for child in self._children:
            child.policy.forgive(pause_s)
        if self._stopping and not self._stop_was_moved:
            self._stop_was_moved = True
            self._give_up_s += pause_s

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
            if self._capture.policy.state is State.DONE:
                _log.warning("SIGUSR1: the camera cannot be restarted alone; restart the service")
            else:
                _log.info("SIGUSR1: restarting the camera")
                self._capture.restart(now_s)
        elif number == signal.SIGUSR2:
            self._order_drill(now_s)

    def _order_drill(self, now_s: float) -> None:
        """Take an order for a fault on purpose; the newest one counts."""
        fault = drills.ordered_drill(self._service.drill_file)
        self._drill_due = ""
        if fault not in drills.FAULTS:
            _log.warning("SIGUSR2 is for drills: python -m supervisor_proc.drill --help")
        elif fault == drills.END:
            self._service.drill_file.unlink()
            _log.warning("drill: ended; the camera is restarted")
            self._capture.restart(now_s)
        else:
            self._drill_due = fault
            child = self._child_of(fault)
            if child is not None and not _can_fail(child):
                _log.warning("drill: %s waits until the %s process runs", fault, child.name)

    def _child_of(self, fault: str) -> Child | None:
        """Return the child that is to fail, None where it is the supervisor itself."""
        if fault.startswith("supervisor"):
            return None
        return self._server if fault.startswith("server") else self._capture

    def _drill(self) -> None:
        """Make the fault that is due, as soon as its process runs."""
        fault = self._drill_due
        child = self._child_of(fault)
        if not fault or (child is not None and not _can_fail(child)):
            return
        self._drill_due = ""
        pid = os.getpid() if child is None or child.pid is None else child.pid
        _log.warning("drill: %s, by the process with pid %d", fault, pid)
        flush_log()
        by_drill = signal.SIGKILL if fault.endswith(drills.AT_EACH_START) else signal.SIGUSR2
        os.kill(pid, drills.BY_SIGNAL.get(fault, by_drill))

    def _stop(self, now_s: float) -> None:
        self._stopping = True
        self._systemd.say("STOPPING=1")
        self._give_up_s = min(self._give_up_s, now_s + _STOP_S)
        for child in self._children:
            child.stop(now_s)

    def _end_without_camera(self, now_s: float) -> None:
        """End the service when the capture process can never work, unless it is to stay.

        Systemd would start it again as soon as a viewer connects to its socket, for as long as one tries.
        """
        if self._capture.policy.state is not State.DONE or self._stopping or self._camera_is_done:
            return
        self._camera_is_done = True
        if self._stays:
            _log.error(
                "no picture until this is corrected and the service is restarted: %s",
                self._capture.last_error or self._capture.last_reason,
            )
        else:
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
        if status != self._on_board or now_s >= self._board_due_s:
            self._rings.board.write(status)
            self._on_board = status
            self._board_due_s = now_s + _BOARD_S

    def _tell_systemd(self, now_s: float) -> None:
        """Say how it is, and that all is well while viewers are shown something or there are none."""
        server, camera = self._rings.server_board.read(), self._rings.capture_board.read()
        served = server.row if server else None
        heard = (server, camera, self._on_board)
        if heard != self._heard:
            self._heard = heard
            self._systemd.status(
                in_a_sentence(
                    self._capture.status, self._server.status, camera.row if camera else None, served
                )
            )
        if self._health.is_well(served, now_s, server_runs=self._server.policy.state is State.RUNNING):
            self._systemd.feed_watchdog(now_s)


def _can_fail(child: Child) -> bool:
    return child.pid is not None and child.policy.state is State.RUNNING


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
