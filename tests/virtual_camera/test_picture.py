# SPDX-License-Identifier: MIT
"""The real Picamera2 gives the picture that the sensor saw: its rate, colours, way up and size."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pytest
import simplejpeg

from capture_proc.camera import Plane
from tests.conditions import eventually
from tests.mjpeg import Audience
from tests.running import Ringcast
from tests.virtual_camera.cameras import (
    FPS,
    IMAGES,
    SIZE,
    STREET,
    YARD,
    VirtualCameras,
    tile_means,
    which_image,
)

pytestmark = pytest.mark.virtual_camera

WATCHED_S = 60
COLOUR_ERROR = 6


def camera_of(service: Ringcast) -> dict[str, Any]:
    """Return what the status tells of the camera, once it is live."""
    service.ready()
    return dict(eventually(lambda: service.status()["camera"], 20, "the board of the capture process"))


def test_a_viewer_gets_the_rate_and_the_colours_for_a_minute(cameras: VirtualCameras) -> None:
    """The default of Picamera2's video configuration is limited range, and looks washed out."""
    images = cameras.pictures(STREET)
    with cameras.ringcast("--camera=picamera2", "--size=1280x720", f"--fps={FPS}") as service:
        service.ready()
        with Audience(service.port, 1) as audience:
            (viewer,) = audience.viewers
            eventually(lambda: viewer.frames)
            began_s = time.monotonic()
            eventually(lambda: time.monotonic() > began_s + WATCHED_S, WATCHED_S + 5)
            frames = [seen for seen in viewer.frames if began_s <= seen.at_s < began_s + WATCHED_S]
            audience.check()
            status = service.status()
    assert len(frames) >= 0.97 * FPS * WATCHED_S
    assert status["camera"]["granted"] == {
        "id": STREET,
        "model": f"virtual {STREET}",
        "size": list(SIZE),
        "colours": "sYCC",
        "fps": FPS,
        "sensor_mode": None,
        "view": None,
        "controls": {},
    }
    assert status["frame"]["age_ms"] < 1000
    assert status["supervisor"]["capture"]["restarts"] == {}

    shown = []
    for sequence in itertools.islice(sorted(audience.jpegs), 5 * IMAGES):
        picture = np.asarray(simplejpeg.decode_jpeg(audience.jpegs[sequence]))
        shown.append(which_image(picture, images))
        assert colour_error(picture, images[shown[-1]]) <= COLOUR_ERROR
    assert set(shown) == set(range(IMAGES)), "all images, each of which is shown four times"


def test_limited_range_would_be_noticed(cameras: VirtualCameras) -> None:
    """The test above can fail: this camera asks for the range that Picamera2 asks for by default."""
    images = cameras.pictures(STREET)
    limited = "--camera=limited_range:LimitedRangeCamera"
    with cameras.ringcast(limited, "--size=1280x720", f"--fps={FPS}") as service:
        service.ready()
        picture = np.asarray(simplejpeg.decode_jpeg(service.get("/snapshot")[1]))
    assert colour_error(picture, images[which_image(picture, images)]) > COLOUR_ERROR


def colour_error(picture: Plane, source: Plane) -> float:
    """Return by how many of 255 the mean colour of some part of a picture is off in a channel."""
    return float(np.abs(tile_means(picture) - tile_means(source)).max())


def test_two_cameras_are_chosen_by_id_at_once(cameras: VirtualCameras) -> None:
    """Numbers change with what else is plugged in; a robot's two eyes must not change places."""
    cameras.plug_in(STREET, YARD)
    images = {camera_id: cameras.pictures(camera_id) for camera_id in (STREET, YARD)}
    with (
        cameras.ringcast(f"--camera=picamera2:{STREET}", "--size=1280x720") as street,
        cameras.ringcast(f"--camera=picamera2:{YARD}", "--size=1280x720") as yard,
    ):
        for service, own, other in ((street, STREET, YARD), (yard, YARD, STREET)):
            assert camera_of(service)["granted"]["id"] == own
            picture = np.asarray(simplejpeg.decode_jpeg(service.get("/snapshot")[1]))
            errors = {
                camera_id: colour_error(picture, images[camera_id][which_image(picture, images[camera_id])])
                for camera_id in (own, other)
            }
            assert errors[own] <= COLOUR_ERROR < errors[other]


@pytest.mark.parametrize(
    ("options", "turned"),
    [
        (("--rotate=180",), lambda picture: picture[::-1, ::-1]),
        (("--flip=horizontal",), lambda picture: picture[:, ::-1]),
        (("--rotate=90",), lambda picture: np.rot90(picture, -1)),
        (("--rotate=270", "--flip=vertical"), lambda picture: np.rot90(picture, 1)[::-1]),
    ],
    ids=["180", "mirrored", "90", "270 mirrored"],
)
def test_the_picture_is_turned(cameras: VirtualCameras, options: tuple[str, ...], turned: object) -> None:
    """EXIF would not do: browsers heed it in a stream, and OpenCV does not."""
    assert callable(turned)
    images = [np.ascontiguousarray(turned(image)) for image in cameras.pictures(STREET)]
    with cameras.ringcast(f"--camera=picamera2:{STREET}", "--size=1280x720", *options) as service:
        service.ready()
        picture = np.asarray(simplejpeg.decode_jpeg(service.get("/snapshot")[1]))
    assert picture.shape == images[0].shape
    assert colour_error(picture, images[which_image(picture, images)]) <= COLOUR_ERROR


def test_what_was_asked_and_granted_stands_in_the_status(cameras: VirtualCameras) -> None:
    arguments = (f"--camera=picamera2:{STREET}", "--fps=100", "--control=FaceDetectMode=Off")
    with cameras.ringcast(*arguments) as service:
        camera = eventually(lambda: (told := camera_of(service)) and 55 < told["fps"] < 65 and told, 20)
    assert camera["granted"]["size"] == [640, 480]
    assert camera["granted"]["fps"] == 60
    assert camera["granted"]["controls"] == {"FaceDetectMode": {"asked": 0, "granted": 0}}
    assert camera["period_s"] == pytest.approx(1 / 60, rel=0.01)
    assert "gives 60 frames a second here and not 100" in service.log


def test_frames_that_never_came_here_are_counted(cameras: VirtualCameras) -> None:
    """The sensor numbers its frames; those that Picamera2 lets go while we are slow are missing."""
    with cameras.ringcast(f"--camera=picamera2:{STREET}", "--fps=30") as service:
        service.ready()
        drill = ("-m", "supervisor_proc.drill", "camera-slow", f"--instance={service.instance}")
        assert cameras.run("python", *drill).returncode == 0
        eventually(lambda: service.status()["dropped"].get("missed", 0) > 10)


def test_the_list_of_cameras_tells_what_can_be_chosen(cameras: VirtualCameras) -> None:
    cameras.plug_in(STREET, YARD)
    listed = cameras.run("python", "supervisor.py", "--list-cameras")
    assert listed.returncode == 0
    for camera_id in (STREET, YARD):
        assert f"virtual {camera_id}: --camera picamera2:{camera_id}\n" in listed.stdout
    assert "  sizes: 640x480 to 1920x1080\n" in listed.stdout
    assert "  frames a second: 5 to 60\n" in listed.stdout
    assert "    FaceDetectMode: Off (0)\n" in listed.stdout
