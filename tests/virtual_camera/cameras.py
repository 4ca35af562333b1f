# SPDX-License-Identifier: MIT
"""Virtual cameras, and Ringcast run on them in the Debian folder, seen from outside it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import simplejpeg

from capture_proc.camera import Plane
from tests.footage import PEDESTRIANS
from tests.running import Ringcast

HERE = Path(__file__).parent
STREET, YARD = "street", "/base/soc/i2c0mux/i2c@1/yard@10"
"""Ids: of a Raspberry Pi's cameras they are such paths."""
SIZE = (1280, 720)
FPS = 30
IMAGES = 12
"""A frame of the footage from every half second."""


@dataclass(frozen=True)
class Folder:
    """The Debian folder, built."""

    path: Path

    def command(self, cameras: Path, *command: str) -> list[str]:
        """Return the command that runs `command` inside."""
        return [str(HERE / "enter"), str(self.path), str(cameras), *command]

    def run(self, cameras: Path, *command: str) -> subprocess.CompletedProcess[str]:
        """Run `command` inside to its end."""
        return subprocess.run(
            self.command(cameras, *command), capture_output=True, text=True, check=False, timeout=270
        )


def built() -> Folder:
    """Build the folder if it is not cached; a failure is told with its reason."""
    building = subprocess.run([HERE / "build"], capture_output=True, text=True, check=False)
    assert building.returncode == 0, building.stderr
    return Folder(Path(building.stdout.strip()))


class VirtualCameras:
    """What is plugged in: a folder with libcamera's virtual.yaml, images, and faults."""

    def __init__(self, folder: Folder, path: Path) -> None:
        self.folder = folder
        self.path = path
        self.path.mkdir(exist_ok=True)

    def plug_in(self, *camera_ids: str) -> None:
        """Make these the cameras that there are; `yard` shows the footage mirrored."""
        for camera_id in camera_ids:
            self._show(camera_id)
        text = "%YAML 1.1\n---\n" + "".join(_camera(camera_id) for camera_id in camera_ids)
        new = self.path / "virtual.yaml.new"
        new.write_text(text)
        new.rename(self.path / "virtual.yaml")

    def fault(self, camera_id: str, kind: str) -> None:
        """Make a fault, see virtual_sensor.py, until `mend`."""
        (self.path / f"{_file_name(camera_id)}.fault").write_text(kind)

    def mend(self, camera_id: str) -> None:
        """End the fault."""
        (self.path / f"{_file_name(camera_id)}.fault").unlink()

    def mend_all(self) -> None:
        """End all faults."""
        for fault in self.path.glob("*.fault"):
            fault.unlink()

    def ringcast(self, *arguments: str) -> Ringcast:
        """Start a service on these cameras."""
        return Ringcast(*arguments, command=self.folder.command(self.path, "python", "supervisor.py"))

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside to its end."""
        return self.folder.run(self.path, *command)

    def pictures(self, camera_id: str) -> list[Plane]:
        """Return the source images (height, width, 3) of a camera."""
        files = sorted((self.path / _file_name(camera_id)).iterdir())
        return [np.asarray(simplejpeg.decode_jpeg(file.read_bytes())) for file in files]

    def _show(self, camera_id: str) -> None:
        images = self.path / _file_name(camera_id)
        if images.exists():
            return
        images.mkdir()
        for number, picture in enumerate(_footage()):
            shown = picture[:, ::-1] if camera_id == YARD else picture
            jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(shown), 95, colorsubsampling="420")
            (images / f"image{number:02}.jpg").write_bytes(jpeg)


def _file_name(camera_id: str) -> str:
    return camera_id.replace("/", "_")


def _camera(camera_id: str) -> str:
    sizes = "".join(
        f"  - width: {width}\n    height: {height}\n    frame_rates: [5, 60]\n"
        for width, height in ((640, 480), SIZE, (1920, 1080))
    )
    return (
        f'"{camera_id}":\n  supported_formats:\n{sizes}'
        f'  frames:\n    path: "/cameras/{_file_name(camera_id)}"\n    scale_mode: "fill"\n'
        f'  model: "virtual {camera_id}"\n'
    )


def _footage() -> list[Plane]:
    with av.open(str(PEDESTRIANS)) as container:
        frames = list(container.decode(video=0))
    step = len(frames) // IMAGES
    width, height = SIZE
    scaled = (frame.to_ndarray(width=width, height=height, format="rgb24") for frame in frames[::step])
    return [picture.astype(np.uint8, copy=False) for picture in scaled]


def which_image(picture: Plane, images: list[Plane]) -> int:
    """Return the index of the image that a picture of the same size shows most nearly."""
    small = [image[::8, ::8].astype(np.int16) for image in (picture, *images)]
    return int(np.argmin([np.abs(small[0] - image).mean() for image in small[1:]]))


def tile_means(picture: Plane, tiles: int = 8) -> np.ndarray:
    """Return the mean colours (tiles, tiles, 3) of the parts of a picture."""
    height, width = picture.shape[0] // tiles * tiles, picture.shape[1] // tiles * tiles
    parts = picture[:height, :width].reshape(tiles, height // tiles, tiles, width // tiles, 3)
    return np.asarray(parts.mean(axis=(1, 3)))
