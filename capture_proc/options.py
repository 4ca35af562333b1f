# SPDX-License-Identifier: MIT
"""The options of the capture process. Standard library only: the supervisor checks them too."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from proc_start.options import number, option

DRILLS = ("hang", "block", "crash", "exit", "slow", "truncated", "wrong-size", "ignore-sigterm")

DEFAULT_FPS = 20.0
DEFAULT_SIZE = (640, 480)


def _camera(text: str) -> str:
    # os.path's exists() is False for a path that may not be looked at, where pathlib's raises
    known = text in ("auto", "picamera2", "pattern") or os.path.exists(text)  # noqa: PTH110
    if not known and not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", text):
        raise ValueError(text)
    return text


def _size(text: str) -> tuple[int, int] | None:
    if text == "auto":
        return None
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not found:
        raise ValueError(text)
    width, height = int(found[1]), int(found[2])
    if not (16 <= width <= 8192 and 16 <= height <= 8192) or width % 2 or height % 2:
        raise ValueError(text)
    return width, height


@dataclass(frozen=True, slots=True)
class DrillOrder:
    """A fault to be made on purpose: at SIGUSR2, or by itself from a picture on."""

    kind: str
    from_picture: int | None = None


def _drill(text: str) -> DrillOrder | None:
    if text == "none":
        return None
    kind, at, picture = text.partition("@")
    if kind not in DRILLS or (at and not (picture.isdecimal() and int(picture) > 0)):
        raise ValueError(text)
    return DrillOrder(kind, int(picture) if at else None)


def stall_timeout_or_default(stall_timeout_s: float | None, period_s: float) -> float:
    """Return the stall limit in seconds: as asked, else 2 s or 8 frame periods if that is more."""
    return max(2.0, 8 * period_s) if stall_timeout_s is None else stall_timeout_s


@dataclass(frozen=True, kw_only=True)
class CaptureOptions:
    """What a person may choose about the camera and its pictures."""

    camera: str = option(
        "auto",
        expects="auto, picamera2, pattern, MODULE:CLASS, or an existing video file or folder of JPEGs",
        help="auto, picamera2, pattern, MODULE:CLASS (your own), a video file or a folder of JPEGs",
        parse=_camera,
    )
    size: tuple[int, int] | None = option(
        "auto",
        expects="WIDTHxHEIGHT in even pixels from 16 to 8192, such as 640x480",
        help="WIDTHxHEIGHT of the picture in even pixels; auto: the footage's own, else 640x480",
        parse=_size,
    )
    fps: float | None = option(
        "auto",
        expects="frames a second from 0.1 to 240",
        help="frames a second, 0.1 to 240; auto: the footage's own, else 20",
        parse=number(float, 0.1, 240, auto=True),
    )
    quality: int = option(
        "80",
        expects="a JPEG quality from 1 to 100",
        help="JPEG quality, 1 to 100; ready JPEGs are not encoded again",
        parse=number(int, 1, 100),
    )
    stall_timeout_s: float | None = option(
        "auto",
        expects="seconds from 0.5 to 60",
        help="seconds without a new frame, 0.5 to 60, until the camera is restarted; "
        "auto: 2, or 8 frame periods if that is more",
        parse=number(float, 0.5, 60, auto=True),
    )
    drill: DrillOrder | None = option(
        "none",
        expects=f"one of {', '.join(DRILLS)}, alone or with @PICTURE such as hang@100",
        help=f"rehearse a fault ({', '.join(DRILLS)}) when the capture process gets SIGUSR2, or with "
        "@N from its picture N on",
        parse=_drill,
    )


@dataclass(frozen=True, kw_only=True)
class CaptureDescriptors:
    """What the supervisor hands down; 0 where the process was started by hand."""

    frames_fd: int = option("0", expects="a descriptor", help="the frames ring", parse=int)
    board_fd: int = option("0", expects="a descriptor", help="the own board", parse=int)
    doorbell_fd: int = option("0", expects="a descriptor", help="the doorbell", parse=int)
