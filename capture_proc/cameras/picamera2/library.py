# SPDX-License-Identifier: MIT
"""What Picamera2 and libcamera are asked about cameras; the only file that imports them.

What shapes it was measured with picamera2 0.3.38 on libcamera's virtual camera, where
`make test-camera` runs it, or read in its source. Nothing here was run on a Raspberry Pi.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capture_proc.camera import NeverWorksError, NoCameraError
from capture_proc.camera_controls import Control
from capture_proc.camera_list import CameraFacts
from capture_proc.cameras.picamera2.modes import SensorMode

_log = logging.getLogger(__name__)

HARDWARE_ENCODER = Path("/dev/video11")
TUNING_VARIABLE = "LIBCAMERA_RPI_TUNING_FILE"
_TUNING_FOLDERS = (Path("/usr/local/share/libcamera/ipa/rpi"), Path("/usr/share/libcamera/ipa/rpi"))


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
        self.platform = Picamera2.platform.name.lower()
        """vc4 for Raspberry Pi 0 to 4, pisp for 5: the name of its folder of tunings."""
        self.SensorTimestamp = controls.SensorTimestamp
        self.Transform = Transform
        self.video_role = StreamRole.VideoRecording
        self.manual_focus = int(controls.AfModeEnum.Manual)
        self.continuous_focus = int(controls.AfModeEnum.Continuous)
        # on a Raspberry Pi 5 the same name is an encoder in software
        self.hardware_encoder = MJPEGEncoder if issubclass(MJPEGEncoder, V4L2Encoder) else None
        self.hardware_encoder_device = HARDWARE_ENCODER
        self.devices = Path("/dev")


def list_cameras(library: Any, tuning_file: str | None = None) -> list[CameraFacts]:
    """Return the facts of every camera that Picamera2 finds. `library` is a `Library`, or its stand-in.

    Raises:
        NoCameraError: there is none, or no such tuning file.
        NeverWorksError: the file is no tuning.
    """
    if tuning_file is not None:
        use_tuning(library, tuning_file)
    facts = []
    for information in _connected(library):
        camera_id, model = information["Id"], information.get("Model", "camera")
        try:
            picamera2 = opened(library, camera_id)
        except NoCameraError as error:
            facts.append(CameraFacts(camera_id, model, fault=str(error)))
            continue
        try:
            facts.append(_facts(library, picamera2, camera_id, model))
        except (OSError, RuntimeError) as error:
            facts.append(CameraFacts(camera_id, model, fault=f"it cannot be asked what it can do ({error})"))
        finally:
            picamera2.close()
    return facts


def _facts(library: Any, picamera2: Any, camera_id: str, model: str) -> CameraFacts:
    formats = picamera2.camera.generate_configuration([library.video_role]).at(0).formats
    ranges = [formats.range(pixel_format) for pixel_format in formats.pixel_formats]
    modes, _ = sensor_modes(picamera2)
    # before a sensor's mode is chosen libcamera tells constants, and not what the module can do
    limits_s = None if modes else frame_period_limits_s(picamera2)
    return CameraFacts(
        camera_id,
        model,
        least_px=min((of_one.min.width, of_one.min.height) for of_one in ranges),
        most_px=max((of_one.max.width, of_one.max.height) for of_one in ranges),
        fps=None if limits_s is None or 0 in limits_s else (1 / limits_s[1], 1 / limits_s[0]),
        modes=modes,
        controls=controls_of(picamera2),
    )


def _connected(library: Any) -> list[dict[str, Any]]:
    cameras: list[dict[str, Any]] = library.Picamera2.global_camera_info()
    if not cameras:
        refused = [device for device in sorted(library.devices.glob("media*")) if not _may_open(device)]
        if refused:
            raise NoCameraError(f"libcamera finds no camera: {_not_permitted(refused[0])}")
        tuning = os.environ.get(TUNING_VARIABLE)
        cure = (
            f"the --tuning-file {tuning}, or the cable at both ends" if tuning else "the cable at both ends"
        )
        raise NoCameraError(
            f"libcamera finds no camera; check {cure}, then type: rpicam-hello --list-cameras"
        )
    return cameras


def _may_open(device: Path) -> bool:
    return os.access(device, os.R_OK | os.W_OK)


def _not_permitted(device: object) -> str:
    """Return a sentence, for a person who would look for a loose cable."""
    return (
        f"this user may not open {device}; type: sudo usermod -aG video $USER, and log in again "
        "(or restart the service)"
    )


def chosen(library: Any, camera_id: str) -> dict[str, Any]:
    """Return what Picamera2 tells of the camera with this Id, or of the first one for no Id.

    Raises:
        NoCameraError: it is not connected; without an Id, none but USB cameras are.
    """
    cameras = _connected(library)
    there_are = ", ".join(camera["Id"] for camera in cameras)
    if camera_id:
        found = [camera for camera in cameras if camera["Id"] == camera_id]
    else:
        # one that is plugged in while the robot's own is loose must not end the service as unsuitable
        found = [camera for camera in cameras if "/usb" not in camera["Id"]]
    if not found:
        missing = f"no camera has the Id {camera_id}" if camera_id else "there are only USB cameras"
        raise NoCameraError(f"{missing}; connected: {there_are}")
    return found[0]


def opened(library: Any, camera_id: str) -> Any:
    """Open a camera. Picamera2 is told its place in the list, which changes with what is plugged in.

    Raises:
        NoCameraError: it cannot be opened now.
    """
    ids = [camera["Id"] for camera in library.Picamera2.global_camera_info()]
    try:
        picamera2 = library.Picamera2(ids.index(camera_id), tuning=os.environ.get(TUNING_VARIABLE))
    except PermissionError as error:  # of Picamera2's allocator, which opens /dev/dma_heap
        refused = _not_permitted(error.filename or "/dev/dma_heap")
        raise NoCameraError(f"the camera {camera_id} cannot be opened: {refused}") from error
    except (OSError, RuntimeError, IndexError, ValueError) as error:
        why = error.__cause__ or error
        cure = "end the program that holds it" if "busy" in str(why) else "check its cable"
        raise NoCameraError(f"the camera {camera_id} cannot be opened ({why}); {cure}") from error
    if picamera2.camera.id != camera_id:
        picamera2.close()
        raise NoCameraError(f"the cameras changed while {camera_id} was opened")
    return picamera2


def use_tuning(library: Any, name: str) -> None:
    """Let libcamera read a tuning, by its path or by a name of libcamera's own, for all its cameras.

    It does so when it first looks for cameras, and not when one is opened
    (https://github.com/raspberrypi/picamera2/issues/1103), so this comes before anything else.

    Raises:
        NoCameraError: there is no such file now.
        NeverWorksError: it is no tuning.
    """
    places = [Path(name), *(folder / library.platform / name for folder in _TUNING_FOLDERS)]
    found = next((place for place in places if os.path.isfile(place)), None)  # noqa: PTH113  False where pathlib's raises
    if found is None:
        raise NoCameraError(
            f"--tuning-file {name}: no such file here, nor in {_TUNING_FOLDERS[-1] / library.platform}; "
            "check its name"
        )
    if found.suffix in (".yaml", ".yml"):
        os.environ[TUNING_VARIABLE] = str(found.absolute())
        return  # libcamera's parser reads it as well, and Python has none
    try:
        tuning = json.loads(found.read_bytes())
    except OSError as error:
        raise NoCameraError(f"--tuning-file {name} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise NeverWorksError(
            f"--tuning-file {name}: expected a tuning of libcamera in JSON ({error})"
        ) from error
    if not isinstance(tuning, dict):
        raise NeverWorksError(
            f"--tuning-file {name}: expected a tuning of libcamera, a JSON object; its value is another"
        )
    os.environ[TUNING_VARIABLE] = str(found.absolute())


def sensor_modes(picamera2: Any) -> tuple[list[SensorMode], bool]:
    """Return the modes of a raw sensor, and whether these are all. Reading them configures the camera.

    There are none where the camera is no raw sensor.

    It is configured for each mode in turn, and a small Raspberry Pi may not have the memory for the
    largest (https://github.com/raspberrypi/picamera2/issues/1358). Picamera2 keeps what it read.
    """
    complete = True
    try:
        modes = picamera2.sensor_modes
    except (OSError, RuntimeError) as error:
        modes, complete = picamera2.sensor_modes_, False
        _log.warning("only %d of the sensor's modes could be read: %s", len(modes), error)
    found = [
        SensorMode(mode["size"], mode["bit_depth"], mode["fps"], tuple(mode["crop_limits"]))
        for mode in modes
        if "size" in mode
    ]
    return found, complete


def colour_space_name(colour_space: Any) -> str:
    """Return the name of one of libcamera's colour spaces, which cannot be compared themselves."""
    return str(colour_space).removeprefix("<libcamera.ColorSpace '").removesuffix("'>")


def frame_period_limits_s(picamera2: Any) -> tuple[float, float] | None:
    """Return the least and the most time from frame to frame; None where the camera tells none (USB)."""
    limits = picamera2.camera_controls.get("FrameDurationLimits")
    return None if limits is None else (limits[0] / 1e6, limits[1] / 1e6)


def controls_of(picamera2: Any) -> dict[str, Control]:
    """Return the controls that the camera advertises in its present configuration."""
    found = {}
    for name, (control, information) in picamera2.camera_ctrl_info.items():
        least, most, _ = picamera2.camera_controls[name]
        names = {
            text: value
            for value, text in short_names(_enumerators(control)).items()
            if least <= value <= most and value in (information.values or [value])
        }
        found[name] = Control(least, most, names, _count(control))
    return found


def short_names(enumerators: Mapping[int, str]) -> dict[int, str]:
    """Return the names of a control's values without what all begin with: FlickerOff is Off."""
    texts = enumerators.values()
    shortest = min(texts, key=len, default="")
    for end in range(len(shortest) - 1, 0, -1):
        if all(text.startswith(shortest[:end]) and text[end].isupper() for text in texts):
            return {value: text[end:] for value, text in enumerators.items()}
    return dict(enumerators)


def _enumerators(control: Any) -> dict[int, str]:
    return dict(control.enumerators()) if hasattr(control, "enumerators") else {}  # libcamera 0.4 has none


def _count(control: Any) -> int | None:
    if not hasattr(control, "isArray"):
        return None
    if not control.isArray:
        return 1
    fixed = control.size < 1 << 16  # libcamera says the largest number for a span of any length
    return int(control.size) if fixed else None
