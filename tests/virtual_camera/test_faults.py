# SPDX-License-Identifier: MIT
"""A camera that cannot be opened, or cannot do what was asked: one sentence each, and the right code.

The supervisor tries again where that can help, and ends where it cannot.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conditions import eventually
from tests.running import Ringcast, environment
from tests.virtual_camera.cameras import STREET, YARD, Folder, VirtualCameras

pytestmark = pytest.mark.virtual_camera


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--control=FocusMode=1"],
            "--control FocusMode: this camera has no such control; --list-cameras lists what it has",
        ),
        (
            ["--control=FaceDetectmode=1"],
            "--control FaceDetectmode: this camera has no such control; did you mean FaceDetectMode?",
        ),
        (["--control=FaceDetectMode=2"], "--control FaceDetectMode expects Off (0); '2' came"),
        (["--control=FrameDurationLimits=1,2"], "--control FrameDurationLimits: use --fps instead"),
        (
            ["--size=644x480"],
            "virtual street cannot give 644x480; libcamera offers 1920x1080 instead: choose --size "
            "1920x1080 or another",
        ),
        (
            ["--sensor-mode=640x480"],
            "--sensor-mode 640x480: this camera has none; choose auto",
        ),
        (
            ["--tuning-file=README.md"],
            "--tuning-file README.md: expected a tuning of libcamera in JSON (Expecting value: line 1 column "
            "1 (char 0))",
        ),
    ],
)
def test_what_can_never_work_ends_the_service_with_a_sentence(
    cameras: VirtualCameras, arguments: list[str], sentence: str
) -> None:
    with cameras.ringcast(f"--camera=picamera2:{STREET}", *arguments) as service:
        assert service.wait(20) == os.EX_USAGE
    errors = [
        line.split("ERROR")[1].strip()
        for line in service.log.splitlines()
        if " ERROR " in line and "DmaBuf" not in line
    ]
    assert errors == [sentence]


def _no_camera(service: Ringcast) -> int:
    return int(service.status()["supervisor"]["capture"]["restarts"].get("no camera (exit 69)", 0))


def test_a_camera_that_appears_later_is_picked_up(folder: Folder, tmp_path: Path) -> None:
    """Nobody restarts anything by hand."""
    cameras = VirtualCameras(folder, tmp_path)
    with cameras.ringcast("--camera=picamera2") as service:
        eventually(
            lambda: "no camera: libcamera finds no camera; check the cable at both ends" in service.log, 20
        )
        eventually(lambda: _no_camera(service) > 1, 20, "an exit with 69")
        cameras.plug_in(STREET)
        service.ready(35)


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("--encoder=hardware", "--encoder hardware: there is no /dev/video11; on a Raspberry Pi 0 to 4 type"),
        (
            "--tuning-file=imx219_noir.json",
            "--tuning-file imx219_noir.json: no such file here, nor in /usr/share/libcamera/ipa/rpi/vc4; "
            "check its name",
        ),
    ],
)
def test_what_is_only_missing_now_is_tried_again(
    cameras: VirtualCameras, argument: str, sentence: str
) -> None:
    with cameras.ringcast(f"--camera=picamera2:{STREET}", argument) as service:
        eventually(lambda: f"no camera: {sentence}" in service.log, 20)
        eventually(lambda: _no_camera(service) > 1, 20, "an exit with 69")


def test_a_camera_that_is_chosen_by_id_is_waited_for(folder: Folder, tmp_path: Path) -> None:
    """It may be one that is plugged in later; what is connected is told, for it may be a wrong Id."""
    cameras = VirtualCameras(folder, tmp_path)
    cameras.plug_in(STREET)
    with cameras.ringcast(f"--camera=picamera2:{YARD}") as service:
        eventually(lambda: f"no camera: no camera has the Id {YARD}; connected: {STREET}" in service.log, 20)
        eventually(lambda: _no_camera(service), 20, "an exit with 69")
        cameras.plug_in(STREET, YARD)
        assert service.ready(35)
        status = eventually(lambda: service.status()["camera"])
        assert status["granted"]["id"] == YARD


def test_a_camera_that_is_busy_is_waited_for(cameras: VirtualCameras) -> None:
    """Another program holds it: a second service must say so, and take over when it ends."""
    holder = subprocess.Popen(
        cameras.folder.command(cameras.path, "python", "-m", "capture_proc", f"--camera=picamera2:{STREET}"),
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stderr is not None
        while "frames a second" not in holder.stderr.readline():
            assert holder.poll() is None
        with cameras.ringcast(f"--camera=picamera2:{STREET}") as service:
            sentence = (
                f"no camera: the camera {STREET} cannot be opened (Failed to acquire camera: Device or "
                "resource busy); end the program that holds it"
            )
            eventually(lambda: sentence in service.log, 20)
            eventually(lambda: _no_camera(service), 20, "an exit with 69")
            listed = cameras.run("python", "supervisor.py", "--list-cameras").stdout
            assert (
                f"virtual {STREET}: --camera picamera2:{STREET}\n  the camera {STREET} cannot be opened"
                in listed
            )
            holder.kill()
            holder.wait(10)
            service.ready(35)
    finally:
        holder.kill()
        holder.wait(10)
