# SPDX-License-Identifier: MIT
"""One camera of a Raspberry Pi through Picamera2, configured and started.

Measured and read as library.py says: the real class runs in CI, but nothing was run on a
Raspberry Pi.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any, Protocol

from capture_proc.camera import Camera, CameraError, CameraWishes, NeverWorksError, NoCameraError, Picture
from capture_proc.camera_controls import values_for
from capture_proc.cameras.picamera2.hardware import HardwarePictures
from capture_proc.cameras.picamera2.library import (
    chosen,
    colour_space_name,
    controls_of,
    frame_period_limits_s,
    opened,
    sensor_modes,
    use_tuning,
)
from capture_proc.cameras.picamera2.modes import (
    SensorMode,
    full_view_mode,
    mode_of_size,
    modes_from_json,
    part_of_view,
)
from capture_proc.cameras.picamera2.planes import PlanePictures
from capture_proc.options import DEFAULT_FPS, DEFAULT_SIZE, ControlOrder
from capture_proc.orientation import Orientation

_log = logging.getLogger(__name__)

_WHOLE = 0.99
"""A larger part of the view than this counts as all of it."""
_RATE_ERROR = 0.01
"""A rate that differs by less is the rate that was asked for."""


class _Pictures(Protocol):
    """Where the pictures of an open camera come from: its planes, or an encoder."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the camera told with one of its last pictures."""

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return the next picture."""

    def close(self) -> None:
        """Give back what is lent."""


class Picamera2Camera(Camera):
    """One camera, chosen by its Id: numbers change with what else is plugged in."""

    def __init__(self, wishes: CameraWishes, library: Any) -> None:
        """Open, configure and start the camera; without an Id the first one (USB cameras come last).

        `library` is a `Library`, or what stands in for it in tests.

        Raises:
            NoCameraError: it is not connected, or another program holds it.
            NeverWorksError: it cannot do what was asked for. Another module on the ribbon may lack a control,
                but mostly it is mistyped, and then a person must see it at once.
        """
        self._library = library
        if wishes.tuning_file is not None:
            use_tuning(library, wishes.tuning_file)
        information = chosen(library, wishes.id)
        self._id, self._model = information["Id"], information.get("Model", "camera")
        self._picamera2 = opened(library, self._id)
        with ExitStack() as failing:
            failing.callback(self._picamera2.close)
            self._configure(wishes)
            self._asked = self._set_controls(wishes.controls)
            self._pictures = self._start(wishes.encoder, wishes.quality)
            failing.pop_all()

    def next_picture(self, timeout_s: float) -> Picture | None:
        """Return the next picture: planes in the camera's own memory, or a ready JPEG of its encoder."""
        return self._pictures.next_picture(timeout_s)

    def close(self) -> None:
        """Let go of the camera. A sensor that hangs can keep this from returning."""
        try:
            self._pictures.close()
        finally:
            self._picamera2.close()

    @property
    def stall_s(self) -> float:
        """1.2 s and 5 periods: libcamera gives up on a sensor after a second, or 5 periods if that is more.

        https://git.libcamera.org/libcamera/libcamera.git/tree/src/libcamera/pipeline/rpi/common
        """
        return 1.2 + 5 * self.period_s

    @property
    def first_frame_s(self) -> float:
        """3 s, or 20 periods: a camera that works has given a frame by then, and another gives none."""
        return max(3.0, 20 * self.period_s)

    @property
    def remembered(self) -> Any:
        """The sensor's modes: to read them, the camera is configured for each one."""
        if not self._modes:
            return None
        return {"id": self._id, "model": self._model, "modes": [asdict(mode) for mode in self._modes]}

    @property
    def granted(self) -> dict[str, Any]:
        """What the camera was asked for and granted, as JSON can say it.

        A control that the camera does not tell of is granted None; `view` is the part of the sensor's
        view that is in the picture.
        """
        told = self._pictures.metadata
        period_us = told.get("FrameDuration", self.period_s * 1e6)
        sensor = self._picamera2.camera_configuration().get("sensor") or {}
        return {
            "id": self._id,
            "model": self._model,
            "size": self._size,
            "colours": self._colours,
            "fps": round(1e6 / period_us, 2),
            "sensor_mode": "{}x{}".format(*sensor["output_size"]) if sensor else None,
            "view": self._view,
            "controls": {
                name: {"asked": asked, "granted": told.get(name)} for name, asked in self._asked.items()
            },
        }

    def _configure(self, wishes: CameraWishes) -> None:
        """Configure for YUV420, and read back what was granted."""
        size, fps = wishes.size or DEFAULT_SIZE, wishes.fps or DEFAULT_FPS
        orientation = wishes.orientation
        mode, self._view = self._sensor_mode(wishes, size, fps)
        wanted = self._picamera2.create_video_configuration(
            main={"size": size, "format": "YUV420"},
            raw=None,  # nobody here takes raw pictures, and their buffers are large
            sensor=None if mode is None else {"output_size": mode.size, "bit_depth": mode.bit_depth},
            # the default is limited-range; JPEG is full-range BT.601
            colour_space=self._library.ColorSpace.Sycc(),
            transform=self._library.Transform(hflip=orientation.hflip, vflip=orientation.vflip),
        )
        try:
            self._picamera2.configure(wanted)
        except (RuntimeError, OSError) as error:
            raise CameraError(
                f"{self._model} cannot be configured ({error}); if memory is short, choose a smaller --size "
                "or --sensor-mode"
            ) from error
        granted = self._picamera2.camera_configuration()
        self._size = self._granted_size(granted["main"], size, asked=wishes.size is not None)
        self._left = orientation.after(self._granted_flips(granted["transform"]))
        self._colours = self._granted_colours(granted["colour_space"])
        self.period_s = self._granted_period_s(fps, asked=wishes.fps is not None)
        self.name = f"{self._model} {self._size[0]}x{self._size[1]}"

    def _set_controls(self, orders: Sequence[ControlOrder]) -> dict[str, Any]:
        """Set the rate, the focus and what was asked for; return the latter two."""
        controls = controls_of(self._picamera2)
        asked = values_for(orders, controls)
        if "AfMode" in controls:
            # who sets the lens wants it to stay there
            by_hand = "LensPosition" in asked
            focus = self._library.manual_focus if by_hand else self._library.continuous_focus
            asked = {"AfMode": focus, **asked}
        period_us = round(self.period_s * 1e6)
        sent = dict(asked)
        if "FrameDurationLimits" in controls:
            sent["FrameDurationLimits"] = (period_us, period_us)
        if "ScalerCrop" in asked and "ScalerCrops" in controls:
            # Picamera2 sends the plural, one for each stream, and libcamera prefers it
            sent["ScalerCrops"] = [sent.pop("ScalerCrop")]
        if asked.get("ExposureTime", 0) > period_us:
            _log.warning(
                "--control ExposureTime=%d is cut to %d, the time of a frame at this rate; lower --fps",
                asked["ExposureTime"],
                period_us,
            )
        self._picamera2.set_controls(sent)
        return asked

    def _known_modes(self, remembered: Any) -> tuple[list[SensorMode], bool]:
        """Return the sensor's modes, and whether these are all, as the process before read them or anew."""
        of_this_one = isinstance(remembered, dict) and (remembered["id"], remembered["model"]) == (
            self._id,
            self._model,
        )
        modes, complete = (
            (modes_from_json(remembered["modes"]), True) if of_this_one else sensor_modes(self._picamera2)
        )
        self._modes = modes if complete else []
        return modes, complete

    def _sensor_mode(
        self, wishes: CameraWishes, size: tuple[int, int], fps: float
    ) -> tuple[SensorMode | None, float | None]:
        """Return the sensor's mode, and how much of its view a picture of `size` shows then."""
        asked = wishes.sensor_mode
        modes, complete = self._known_modes(wishes.remembered)
        if asked is not None and not complete and all(mode.size != asked for mode in modes):
            raise CameraError(f"--sensor-mode {asked[0]}x{asked[1]} could not be read; end what uses memory")
        if asked is not None:
            mode = mode_of_size(modes, asked, fps)
        elif modes:
            mode = full_view_mode(modes, size, fps)
        else:
            if not complete:
                _log.warning("without a sensor mode the picture may show only the middle of the view")
            return None, None
        view = round(part_of_view(mode, modes, size), 2)
        _log.info("sensor mode %s: the picture shows %.0f %% of the view", mode, 100 * view)
        if mode.shown(size) < _WHOLE:
            width, height = size[0], round(size[0] * mode.size[1] / mode.size[0] / 2) * 2
            _log.info("a picture of this shape cuts the sensor's off; --size %dx%d does not", width, height)
        return mode, view

    def _granted_size(
        self, main: Mapping[str, Any], size: tuple[int, int], *, asked: bool
    ) -> tuple[int, int]:
        """Return the size that libcamera made of `size`."""
        if main["format"] != "YUV420":
            raise NeverWorksError(
                f"{self._model} gives {main['format']} and not YUV420; cameras like it (most USB cameras) "
                "are not supported"
            )
        width, height = main["size"]
        if (width, height) != size:
            cannot = (
                f"{self._model} cannot give {size[0]}x{size[1]}; libcamera offers {width}x{height} instead"
            )
            if asked:
                raise NeverWorksError(f"{cannot}: choose --size {width}x{height} or another")
            _log.info("%s, which is taken", cannot)
        return width, height

    def _granted_flips(self, transform: Any) -> Orientation:
        if transform.transpose:
            raise NeverWorksError(
                f"{self._model} is said to be mounted sideways (rotation in its device tree), which is not "
                "supported; take that out of /boot/firmware/config.txt, and choose --rotate 90 or 270"
            )
        return Orientation(hflip=bool(transform.hflip), vflip=bool(transform.vflip))

    def _granted_colours(self, colour_space: Any) -> str:
        """Return the colour space that libcamera made of sYCC; JPEG knows no other."""
        granted, wanted = (colour_space_name(one) for one in (colour_space, self._library.ColorSpace.Sycc()))
        if granted != wanted:
            _log.warning(
                "%s gives colours as %s and not as %s: they will look too pale or too strong",
                self._model,
                granted,
                wanted,
            )
        return granted

    def _granted_period_s(self, fps: float, *, asked: bool) -> float:
        """Return the frame period at `fps`, or the nearest that the camera can do."""
        limits_s = frame_period_limits_s(self._picamera2)
        if limits_s is None:
            return 1 / fps
        period_s = min(max(1 / fps, limits_s[0]), limits_s[1])
        if abs(period_s * fps - 1) > _RATE_ERROR:
            _log.log(
                logging.WARNING if asked else logging.INFO,
                "%s gives %.4g frames a second here and not %g; another --sensor-mode or --size may",
                self._model,
                1 / period_s,
                fps,
            )
        return period_s

    def _start(self, encoder: str, quality: int) -> _Pictures:
        pictures: _Pictures
        if encoder == "hardware":
            pictures = self._hardware_pictures(quality)
        else:
            pictures = PlanePictures(self._library, self._picamera2, self._size, self.period_s, self._left)
        try:
            self._picamera2.start()
        except (RuntimeError, OSError) as error:
            raise CameraError(f"{self._model} cannot be started ({error}); check its cable") from error
        return pictures

    def _hardware_pictures(self, quality: int) -> HardwarePictures:
        encoder_class, device = self._library.hardware_encoder, self._library.hardware_encoder_device
        if encoder_class is None:
            raise NeverWorksError(
                "--encoder hardware: a Raspberry Pi 5 has no JPEG encoder in hardware, only 0 to 4 have one; "
                "leave it out"
            )
        if not device.exists():
            raise NoCameraError(
                f"--encoder hardware: there is no {device}; on a Raspberry Pi 0 to 4 type: sudo modprobe "
                "bcm2835-codec; elsewhere leave it out"
            )
        if self._left:
            raise NeverWorksError(
                "--encoder hardware: its ready JPEGs cannot be turned any more, and the camera itself does "
                "not turn them so; leave out --encoder, or --rotate and --flip"
            )
        try:
            return HardwarePictures(self._library, self._picamera2, encoder_class(), quality=quality)
        except (RuntimeError, OSError) as error:
            raise CameraError(
                f"the JPEG encoder {device} cannot be started ({error}); leave out --encoder"
            ) from error
