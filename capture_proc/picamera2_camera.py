# SPDX-License-Identifier: MIT
"""One camera of a Raspberry Pi through Picamera2, configured and started.

Measured and read as picamera2_library.py says: the real class runs in CI, but nothing was run on a
Raspberry Pi.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from capture_proc.camera import CameraChoiceError, CameraError, CameraSettings, Picture
from capture_proc.camera_controls import values_for
from capture_proc.options import DEFAULT_FPS, DEFAULT_QUALITY, DEFAULT_SIZE, Picamera2Options
from capture_proc.orientation import UPRIGHT, Orientation
from capture_proc.picamera2_hardware import HardwarePictures
from capture_proc.picamera2_library import (
    HARDWARE_ENCODER,
    Library,
    chosen,
    controls_of,
    opened,
    sensor_modes,
)
from capture_proc.picamera2_planes import PlanePictures
from capture_proc.sensor_mode import SensorMode, full_view_mode, mode_of_size

_log = logging.getLogger(__name__)


class _Pictures(Protocol):
    """Where the pictures of an open camera come from: its planes, or an encoder."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the camera told with a picture, at most a second ago."""

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return the next picture."""

    def close(self) -> None:
        """Give back what is lent."""


class Picamera2Camera:
    """One camera, chosen by its Id: numbers change with what else is plugged in."""

    def __init__(
        self,
        settings: CameraSettings,
        options: Picamera2Options,
        *,
        camera_id: str = "",
        orientation: Orientation = UPRIGHT,
        quality: int = DEFAULT_QUALITY,
        library: Any = None,
    ) -> None:
        """Open, configure and start the camera; without an Id the first one (USB cameras come last).

        `quality` is for the JPEGs of the hardware encoder. `library` stands in for the modules picamera2
        and libcamera in tests.

        Raises:
            NoCameraError: it is not connected, or another program holds it.
            CameraChoiceError: it cannot do what was asked for.
        """
        self._library = library or Library()
        information = chosen(self._library, camera_id)
        self._id, self._model = information["Id"], information.get("Model", "camera")
        tuning = None if options.tuning_file is None else self._tuning(options.tuning_file)
        self._picamera2 = opened(self._library, self._id, tuning)
        try:
            self._asked = self._configure(settings, options, orientation)
            self._pictures = self._start(options.encoder, quality)
        except BaseException:
            self._picamera2.close()
            raise

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return the next picture: planes in the camera's own memory, or a ready JPEG of its encoder."""
        return self._pictures.next_picture(timeout_s)

    def close(self) -> None:
        """Let go of the camera. A sensor that hangs can keep this from returning."""
        self._pictures.close()
        self._picamera2.close()

    @property
    def granted(self) -> dict[str, Any]:
        """What the camera was asked for and granted, as JSON can say it.

        A control that the camera does not tell of is granted None; `view` is the part of the sensor
        mode's view that is in the picture.
        """
        told = self._pictures.metadata
        return {
            "id": self._id,
            "model": self._model,
            "size": self._size,
            "fps": round(1 / self.period_s, 2),
            "sensor_mode": None if self._mode is None else str(self._mode),
            "view": None if self._mode is None else round(self._mode.shown(self._size), 2),
            "controls": {
                name: {"asked": asked, "granted": told.get(name)} for name, asked in self._asked.items()
            },
        }

    def _tuning(self, name: str) -> dict[str, Any]:
        path = Path(name)
        try:
            if path.is_file():
                return dict(json.loads(path.read_text()))
            return dict(self._library.Picamera2.load_tuning_file(name))
        except (ValueError, TypeError) as error:
            raise CameraChoiceError(
                f"--tuning-file {name}: expected a tuning of libcamera in JSON ({error})"
            ) from error
        except (OSError, RuntimeError) as error:
            raise CameraChoiceError(
                f"--tuning-file {name}: no such file here, nor among libcamera's own below "
                "/usr/share/libcamera/ipa/rpi; check its name"
            ) from error

    def _configure(
        self, settings: CameraSettings, options: Picamera2Options, orientation: Orientation
    ) -> dict[str, Any]:
        """Configure for YUV420; return the controls that are asked for."""
        size, fps = settings.size or DEFAULT_SIZE, settings.fps or DEFAULT_FPS
        self._mode = self._sensor_mode(options.sensor_mode, size, fps)
        wanted = self._picamera2.create_video_configuration(
            main={"size": size, "format": "YUV420"},
            raw=None,  # nobody here takes raw pictures, and their buffers are large
            sensor=None
            if self._mode is None
            else {"output_size": self._mode.size, "bit_depth": self._mode.bit_depth},
            # the default is limited-range; JPEG is full-range BT.601
            colour_space=self._library.ColorSpace.Sycc(),
            transform=self._library.Transform(hflip=orientation.hflip, vflip=orientation.vflip),
        )
        try:
            self._picamera2.configure(wanted)
        except (RuntimeError, OSError) as error:
            raise CameraError(f"{self._model} cannot be configured: {error}") from error
        granted = self._picamera2.camera_configuration()
        self._check_main(granted["main"], size, asked=settings.size is not None)
        self._size: tuple[int, int] = granted["main"]["size"]
        self._left = orientation.after(_flips(granted["transform"]))
        self.period_s = self._granted_period_s(fps, asked=settings.fps is not None)
        self.name = f"{self._model} {self._size[0]}x{self._size[1]}"
        controls = controls_of(self._picamera2)
        asked = values_for(options.control, controls)
        if "AfMode" in controls:
            asked = {"AfMode": self._library.continuous_autofocus, **asked}
        period_us = round(self.period_s * 1e6)
        self._picamera2.set_controls({**asked, "FrameDurationLimits": (period_us, period_us)})
        return asked

    def _sensor_mode(
        self, asked: tuple[int, int] | None, size: tuple[int, int], fps: float
    ) -> SensorMode | None:
        modes = sensor_modes(self._picamera2)
        if asked is not None:
            mode = mode_of_size(modes, asked, fps)
        elif modes:
            mode = full_view_mode(modes, size, fps)
        else:
            return None
        shown = mode.shown(size)
        _log.info("sensor mode %s, of which %.0f %% is in the picture", mode, 100 * shown)
        return mode

    def _check_main(self, main: Mapping[str, Any], size: tuple[int, int], *, asked: bool) -> None:
        if main["format"] != "YUV420":
            raise CameraChoiceError(
                f"{self._model} gives {main['format']} and not YUV420; cameras like it (most USB cameras) "
                "are not supported"
            )
        if asked and main["size"] != size:
            nearest = "{}x{}".format(*main["size"])
            raise CameraChoiceError(
                f"{self._model} cannot give {size[0]}x{size[1]}; the nearest that it offers is {nearest}: "
                f"choose --size {nearest}, or another of --list-cameras"
            )

    def _granted_period_s(self, fps: float, *, asked: bool) -> float:
        """Return the frame period at `fps`, or the nearest that the camera can do."""
        least_us, most_us = self._picamera2.camera_controls["FrameDurationLimits"][:2]
        period_s = min(max(1 / fps, least_us / 1e6), most_us / 1e6)
        if asked and abs(period_s * fps - 1) > 0.01:
            _log.warning(
                "%s gives %.4g frames a second here and not %g; another --sensor-mode or --size may",
                self._model,
                1 / period_s,
                fps,
            )
        return float(period_s)

    def _start(self, encoder: str, quality: int) -> _Pictures:
        pictures: _Pictures
        if encoder == "hardware":
            pictures = self._hardware_pictures(quality)
        else:
            pictures = PlanePictures(self._library, self._picamera2, self._size, self.period_s, self._left)
        try:
            self._picamera2.start()
        except (RuntimeError, OSError) as error:
            raise CameraError(f"{self._model} cannot be started: {error}") from error
        return pictures

    def _hardware_pictures(self, quality: int) -> HardwarePictures:
        encoder_class = self._library.hardware_encoder
        if encoder_class is None:
            raise CameraChoiceError(
                "--encoder hardware: there is no JPEG encoder in this machine's hardware "
                f"({HARDWARE_ENCODER}; Raspberry Pi 0 to 4 have one); leave it out"
            )
        if self._left:
            raise CameraChoiceError(
                "--encoder hardware: its ready JPEGs cannot be turned by 90 or 270 degrees; leave out "
                "--rotate or --encoder"
            )
        return HardwarePictures(self._library, self._picamera2, encoder_class(), quality=quality)


def _flips(transform: Any) -> Orientation:
    return Orientation(hflip=bool(transform.hflip), vflip=bool(transform.vflip))
