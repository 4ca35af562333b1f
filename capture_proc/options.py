# SPDX-License-Identifier: MIT
"""The options of the capture process. Standard library only: the supervisor checks them too."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

from proc_start.options import number, option

DEFAULT_FPS = 20.0
DEFAULT_SIZE = (640, 480)
DEFAULT_QUALITY = 80
MOST_PX = 8192
"""The largest width and height of a picture: drawing into one of that size takes 200 MB."""


def _camera(text: str) -> str:
    # a path may be on a disk that is mounted later; os.path's exists() is False where pathlib's raises
    known = text in ("auto", "picamera2", "pattern") or "/" in text or os.path.exists(text)  # noqa: PTH110
    known = known or re.fullmatch(r"picamera2:\S(.*\S)?", text) is not None
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
    if not (16 <= width <= MOST_PX and 16 <= height <= MOST_PX) or width % 2 or height % 2:
        raise ValueError(text)
    return width, height


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return parse


def _degrees(text: str) -> int:
    return int(_one_of("0", "90", "180", "270")(text))


def stall_timeout_or_default(stall_timeout_s: float | None, period_s: float) -> float:
    """Return the stall limit in seconds: as asked, else 2 s or 8 frame periods if that is more."""
    return max(2.0, 8 * period_s) if stall_timeout_s is None else stall_timeout_s


IMPORTING_S = 30.0
"""How long a capture process may import: from a cold SD card a small Raspberry Pi needs 20 s."""
OPENING_S = 10.0
"""How long a camera may take to be opened, unless it is given more for its first frame."""


def first_frame_timeout_or_default(first_frame_timeout_s: float | None, stall_timeout_s: float) -> float:
    """Return how long a camera may take to its first frame: as asked, else 10 s or the stall limit.

    Sensors need a part of a second to begin, cameras in a network and on USB several.
    """
    return max(10.0, stall_timeout_s) if first_frame_timeout_s is None else first_frame_timeout_s


def _seconds_or_never(text: str) -> float | None:
    seconds: float | None = math.inf if text == "never" else number(float, 1, 3600, auto=True)(text)
    return seconds


def identical_after_or_default(identical_after_s: float | None, period_s: float) -> float:
    """Return for how many seconds pictures may be identical: as asked, else 10 s or 8 frame periods."""
    return max(10.0, 8 * period_s) if identical_after_s is None else identical_after_s


@dataclass(frozen=True, kw_only=True)
class CaptureOptions:
    """What a person may choose about the camera and its pictures."""

    camera: str = option(
        "auto",
        expects="auto, picamera2, picamera2:ID, pattern, MODULE:CLASS, or the path of a video file or a "
        "folder of JPEGs",
        help="auto, picamera2 (the first camera), picamera2:ID, pattern, MODULE:CLASS (your own), a video "
        "file or a folder of JPEGs",
        parse=_camera,
    )
    size: tuple[int, int] | None = option(
        "auto",
        expects=f"WIDTHxHEIGHT in even pixels from 16 to {MOST_PX}, such as 640x480",
        help="WIDTHxHEIGHT of the picture in even pixels; auto: the footage's own, else 640x480",
        parse=_size,
    )
    fps: float | None = option(
        "auto",
        expects="frames a second from 0.1 to 240",
        help="frames a second, 0.1 to 240; auto: the footage's own, else 20",
        parse=number(float, 0.1, 240, auto=True),
    )
    rotate: int = option(
        "0",
        expects="0, 90, 180 or 270",
        help="degrees clockwise to turn the picture: 0, 90, 180 or 270; 90 and 270 swap width and height",
        parse=_degrees,
    )
    flip: str = option(
        "none",
        expects="none, horizontal or vertical",
        help="mirror the turned picture: none, horizontal or vertical",
        parse=_one_of("none", "horizontal", "vertical"),
    )
    quality: int = option(
        str(DEFAULT_QUALITY),
        expects="a JPEG quality from 1 to 100",
        help="JPEG quality, 1 to 100; lower for a while when a frame does not fit its slot; ready JPEGs stay "
        "as they are",
        parse=number(int, 1, 100),
    )
    stall_timeout_s: float | None = option(
        "auto",
        expects="seconds from 0.5 to 60",
        help="seconds after the last frame, 0.5 to 60, until the camera is restarted; "
        "auto: 2, or 8 frame periods if that is more; with Picamera2 1.2 and 5 periods",
        parse=number(float, 0.5, 60, auto=True),
    )
    first_frame_timeout_s: float | None = option(
        "auto",
        expects="seconds from 0.5 to 300",
        help="seconds, 0.5 to 300, that an open camera may take to its first frame; auto: 10, or the stall "
        "limit if that is more; with Picamera2 3, or 20 frame periods",
        parse=number(float, 0.5, 300, auto=True),
    )
    identical_after_s: float | None = option(
        "auto",
        expects="seconds from 1 to 3600, auto or never",
        help="restart the camera, once, after identical pictures for this many seconds, 1 to 3600; "
        "auto: 10, or 8 frame periods if that is more; never: only report them in /status",
        parse=_seconds_or_never,
    )


def expected_size(options: CaptureOptions) -> tuple[int, int]:
    """Return the (width, height) of pictures that are still to come, as far as options tell."""
    width, height = options.size or DEFAULT_SIZE
    return (height, width) if options.rotate in (90, 270) else (width, height)


@dataclass(frozen=True, kw_only=True)
class CaptureCommands:
    """What a person may have done instead of capturing."""

    list_cameras: bool = option(
        "no",
        expects="nothing behind it, or yes or no",
        help="only list the cameras that Picamera2 finds, with their Ids, sizes, rates and controls",
        parse=lambda text: _one_of("yes", "no")(text) == "yes",
        alone="yes",
        for_command_line=True,
    )


@dataclass(frozen=True, slots=True)
class ControlOrder:
    """A control of the camera and the value it is to have, as it was typed."""

    name: str
    text: str


def _control(text: str) -> ControlOrder:
    name, _, value = text.partition("=")
    if not re.fullmatch(r"[A-Za-z]\w*", name) or not value:
        raise ValueError(text)
    return ControlOrder(name, value)


@dataclass(frozen=True, kw_only=True)
class Picamera2Options:
    """What a person may choose about a camera of Picamera2 beyond what any camera has."""

    control: tuple[ControlOrder, ...] = option(
        "none",
        expects="NAME=VALUE such as AfMode=Manual",
        help="NAME=VALUE, a control of the camera such as ExposureTime=10000 (microseconds); may come "
        "several times",
        parse=_control,
        repeatable=True,
    )
    sensor_mode: tuple[int, int] | None = option(
        "auto",
        expects="auto or WIDTHxHEIGHT of one of the sensor's modes, see --list-cameras",
        help="WIDTHxHEIGHT of the sensor's mode; auto: the smallest with the full field of view that is "
        "large and fast enough",
        parse=_size,
    )
    tuning_file: str | None = option(
        "none",
        expects="none or the name of a file",
        help="tuning of the camera, such as imx219_noir.json: a path, or a name of libcamera's own",
        parse=lambda text: None if text == "none" else text,
    )
    encoder: str = option(
        "auto",
        expects="auto, software or hardware",
        help="JPEG encoder: software, or hardware on Raspberry Pi 0 to 4; auto: software",
        parse=_one_of("auto", "software", "hardware"),
    )


@dataclass(frozen=True, kw_only=True)
class HandedDown:
    """What the supervisor hands down; 0 and nothing where the process was started by hand."""

    frames_fd: int = option("0", expects="a descriptor", help="the frames ring", parse=int)
    board_fd: int = option("0", expects="a descriptor", help="the own board", parse=int)
    doorbell_fd: int = option("0", expects="a descriptor", help="the doorbell", parse=int)
    drill_file: str = option("", expects="a file", help="names the fault that SIGUSR2 begins", parse=str)
