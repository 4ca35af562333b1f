# SPDX-License-Identifier: MIT
"""What Picamera2 and libcamera are asked about cameras; the only file that imports them.

What shapes it was measured with picamera2 0.3.38 on libcamera's virtual camera, where
`make test-camera` runs it, or read in its source. Nothing here was run on a Raspberry Pi.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from capture_proc.camera import NoCameraError
from capture_proc.camera_controls import Control
from capture_proc.camera_list import CameraFacts
from capture_proc.sensor_mode import SensorMode

_log = logging.getLogger(__name__)

HARDWARE_ENCODER = Path("/dev/video11")


class Library:
    """What is used of picamera2 and libcamera."""

    def __init__(self) -> None:
        # libcamera tells about itself at each start otherwise; read at its import
        os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:WARN")
        logging.getLogger("picamera2").setLevel(logging.WARNING)
        # its errors are raised as well, and told once in our words
        logging.getLogger("picamera2.picamera2").setLevel(logging.CRITICAL)
        try:
            from libcamera import ColorSpace, StreamRole, Transform, controls  # noqa: PLC0415
            from picamera2 import MappedArray, Picamera2  # noqa: PLC0415
            from picamera2.encoders import MJPEGEncoder, Quality  # noqa: PLC0415
            from picamera2.encoders.v4l2_encoder import V4L2Encoder  # noqa: PLC0415
            from picamera2.outputs import Output  # noqa: PLC0415
        except ImportError as error:
            raise NoCameraError(
                f"picamera2 cannot be imported ({error}); on Raspberry Pi OS type: "
                "sudo apt install python3-picamera2"
            ) from error
        self.ColorSpace = ColorSpace
        self.MappedArray = MappedArray
        self.Output = Output
        self.Picamera2 = Picamera2
        self.Quality = Quality
        self.SensorTimestamp = controls.SensorTimestamp
        self.Transform = Transform
        self.video_role = StreamRole.VideoRecording
        self.continuous_autofocus = int(controls.AfModeEnum.Continuous)
        # on a Raspberry Pi 5 the same name is an encoder in software
        in_hardware = issubclass(MJPEGEncoder, V4L2Encoder) and HARDWARE_ENCODER.exists()
        self.hardware_encoder = MJPEGEncoder if in_hardware else None


def list_cameras(library: Any = None) -> list[CameraFacts]:
    """Return the facts of every camera that Picamera2 finds.

    Raises:
        NoCameraError: there is none.
    """
    library = library or Library()
    facts = []
    for information in _connected(library):
        camera_id, model = information["Id"], information.get("Model", "camera")
        try:
            picamera2 = opened(library, camera_id, tuning=None)
        except NoCameraError as error:
            facts.append(CameraFacts(camera_id, model, fault=str(error)))
            continue
        formats = picamera2.camera.generate_configuration([library.video_role]).at(0).formats
        sizes = [formats.sizes(pixel_format) for pixel_format in formats.pixel_formats]
        least_us, most_us = picamera2.camera_controls["FrameDurationLimits"][:2]
        facts.append(
            CameraFacts(
                camera_id,
                model,
                sizes=sorted({(size.width, size.height) for of_format in sizes for size in of_format}),
                fps=(1e6 / most_us, 1e6 / least_us),
                modes=sensor_modes(picamera2),
                controls=controls_of(picamera2),
            )
        )
        picamera2.close()
    return facts


def _connected(library: Any) -> list[dict[str, Any]]:
    cameras: list[dict[str, Any]] = library.Picamera2.global_camera_info()
    if not cameras:
        raise NoCameraError(
            "libcamera finds no camera; check the cable at both ends, then type: rpicam-hello --list-cameras"
        )
    return cameras


def chosen(library: Any, camera_id: str) -> dict[str, Any]:
    """Return what Picamera2 tells of the camera with this Id, or of the first one for no Id.

    Raises:
        NoCameraError: it is not connected.
    """
    cameras = _connected(library)
    if not camera_id:
        return cameras[0]
    found = [camera for camera in cameras if camera["Id"] == camera_id]
    if not found:
        there_are = ", ".join(camera["Id"] for camera in cameras)
        raise NoCameraError(f"no camera has the Id {camera_id}; connected: {there_are}")
    return found[0]


def opened(library: Any, camera_id: str, tuning: dict[str, Any] | None) -> Any:
    """Open a camera. Picamera2 is told its place in the list, which changes with what is plugged in.

    Raises:
        NoCameraError: it cannot be opened now.
    """
    ids = [camera["Id"] for camera in library.Picamera2.global_camera_info()]
    try:
        picamera2 = library.Picamera2(ids.index(camera_id), tuning=tuning)
    except (RuntimeError, IndexError, ValueError) as error:
        why = error.__cause__ or error
        cure = "end the program that holds it" if "busy" in str(why) else "check its cable"
        cure += "" if tuning is None else " and the --tuning-file"
        raise NoCameraError(f"the camera {camera_id} cannot be opened ({why}); {cure}") from error
    if picamera2.camera.id != camera_id:
        picamera2.close()
        raise NoCameraError(f"the cameras changed while {camera_id} was opened")
    return picamera2


def sensor_modes(picamera2: Any) -> list[SensorMode]:
    """Return the modes of a raw sensor; none of other cameras. Reading them configures the camera.

    It is configured for each mode in turn, and a small Raspberry Pi may not have the memory for the
    largest (https://github.com/raspberrypi/picamera2/issues/1358). Picamera2 keeps what it read.
    """
    try:
        modes = picamera2.sensor_modes
    except (OSError, RuntimeError) as error:
        modes = picamera2.sensor_modes
        _log.warning("only %d of the sensor's modes could be read: %s", len(modes), error)
    return [
        SensorMode(mode["size"], mode["bit_depth"], mode["fps"], tuple(mode["crop_limits"]))
        for mode in modes
        if "size" in mode
    ]


def controls_of(picamera2: Any) -> dict[str, Control]:
    """Return the controls that the camera advertises in its present configuration."""
    found = {}
    for name, (control, information) in picamera2.camera_ctrl_info.items():
        least, most, _ = picamera2.camera_controls[name]
        names = {
            text.removeprefix(name): value
            for value, text in _names(control).items()
            if least <= value <= most and value in (information.values or [value])
        }
        found[name] = Control(least, most, names, _count(control))
    return found


def _names(control: Any) -> dict[int, str]:
    return dict(control.enumerators()) if hasattr(control, "enumerators") else {}  # libcamera 0.4 has none


def _count(control: Any) -> int | None:
    if not getattr(control, "isArray", False):
        return 1
    fixed = control.size < 1 << 16  # libcamera says the largest number for a span of any length
    return int(control.size) if fixed else None
