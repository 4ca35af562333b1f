# SPDX-License-Identifier: MIT
"""`python -m capture_proc`: started by the supervisor, or by hand to see what a camera gives.

Little is imported here, so that the board says early that the rest is being imported.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from capture_proc.camera import CameraError, NeverWorksError, NoCameraError
from capture_proc.cameras.kinds import KINDS, choose, wishes_of
from capture_proc.options import (
    IMPORTING_S,
    CaptureCommands,
    CaptureOptions,
    HandedDown,
    Picamera2Options,
)
from capture_proc.progress import Progress, first_row
from proc_start.logs import run_and_exit, start_logging
from proc_start.options import read_or_exit
from proc_start.tether import tie_to_supervisor
from shm_ring.board import BoardReader, BoardWriter
from shm_ring.doorbell import Doorbell
from shm_ring.errors import SegmentError, WriterAliveError
from shm_ring.ring import RingReader, RingWriter
from shm_ring.segment import Segment
from shm_ring.status import CaptureStatus, Step

_log = logging.getLogger(__name__)

_OOM_SCORE = 300
"""When memory runs out, the kernel ends this process, which costs nobody a connection."""


class _DryRun:
    """Takes frames and counts them: for a capture process without a ring."""

    slot_bytes = 1 << 30

    def publish(self, payload: bytes, facts: bytes = b"") -> int | None:
        return 1

    @staticmethod
    def report(status: CaptureStatus) -> None:
        if status.fps:
            _log.info("%s: %.1f frames a second, %d so far", status.name, status.fps, status.frames)


def main() -> int:
    """Capture until SIGTERM or SIGINT; return the exit code."""
    start_logging("capture")
    line = read_or_exit(
        sys.argv[1:],
        CaptureOptions,
        CaptureCommands,
        Picamera2Options,
        HandedDown,
        program="python -m capture_proc",
        about="Capture from a camera; without a supervisor, only report how many frames it gives.",
    )
    options, handed_down = line.table(CaptureOptions), line.table(HandedDown)
    of_picamera2 = line.table(Picamera2Options)
    try:
        if line.table(CaptureCommands).list_cameras:
            _list_cameras(options, of_picamera2)
            return os.EX_OK
        tie_to_supervisor(
            filter(None, (handed_down.frames_fd, handed_down.board_fd, handed_down.doorbell_fd))
        )
        return _capture(options, of_picamera2, handed_down)
    except (NeverWorksError, SegmentError) as error:
        _log.error("%s", error)
        return os.EX_USAGE
    except NoCameraError as error:
        _log.error("no camera: %s", error)
        return os.EX_UNAVAILABLE
    except WriterAliveError as error:
        _log.error("%s", error)
        return os.EX_CANTCREAT
    except CameraError as error:
        _log.error("camera %s: %s", options.camera, error)
        return os.EX_SOFTWARE
    except Exception as error:  # noqa: BLE001  a camera of somebody's own may raise anything
        where = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {error}"
        _log.error("camera %s failed: %s (%s, line %s)", options.camera, what, where.filename, where.lineno)
        return os.EX_SOFTWARE


def _list_cameras(options: CaptureOptions, of_picamera2: Picamera2Options) -> None:
    from capture_proc.camera_list import camera_list  # noqa: PLC0415  only here

    for number in (signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    kind = KINDS["picamera2"]
    print(camera_list(kind.listed(wishes_of(kind, options, of_picamera2))))


def _capture(options: CaptureOptions, of_picamera2: Picamera2Options, handed_down: HandedDown) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    sink: RingWriter | _DryRun = _DryRun()
    write: Callable[[CaptureStatus], None] = _DryRun.report
    left_behind: CaptureStatus | None = None
    if handed_down.frames_fd:
        _offer_to_the_oom_killer()
        sink = RingWriter(Segment(handed_down.frames_fd), [Doorbell(handed_down.doorbell_fd)])
        board = Segment(handed_down.board_fd)
        # read before this process becomes the writer, which may not read its own ring
        reading = BoardReader(RingReader(board), CaptureStatus).read()
        left_behind = reading.row if reading else None
        write = BoardWriter[CaptureStatus](RingWriter(board)).write
    progress = Progress(write, first_row(options, left_behind))
    progress.begin(Step.IMPORTING, IMPORTING_S)
    name, camera_id = choose(options.camera)
    kind = KINDS[name]
    progress.say(rest_s=kind.rest_s)
    wishes = wishes_of(kind, options, of_picamera2, camera_id=camera_id, remembered=progress.row.remembered)
    opener = kind.imported(wishes)
    from capture_proc.capture import capture, open_camera  # noqa: PLC0415  after the board says so

    camera = open_camera(kind, opener, wishes, progress, options)
    return capture(camera, options, sink, progress, stop.is_set, handed_down.drill_file)


def _offer_to_the_oom_killer() -> None:
    file = Path("/proc/self/oom_score_adj")
    with suppress(OSError, ValueError):  # a higher one needs no right, and a lower one is not wanted
        if int(file.read_text()) < _OOM_SCORE:
            file.write_text(str(_OOM_SCORE))


if __name__ == "__main__":
    run_and_exit(main)
