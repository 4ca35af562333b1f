# SPDX-License-Identifier: MIT
"""What has to be seen from inside the process that holds the camera, and the suite on Python 3.13."""

from __future__ import annotations

import pytest

from tests.virtual_camera.cameras import VirtualCameras

pytestmark = pytest.mark.virtual_camera

PYTEST = ("python", "-m", "pytest", "-p", "no:cacheprovider")


def test_libcamera_and_an_encoder_of_picamera2_are_as_expected(cameras: VirtualCameras) -> None:
    # Picamera2 uses what Python has deprecated
    ran = cameras.run(
        *PYTEST, "-o", "filterwarnings=default", "-m", "virtual_camera", "tests/virtual_camera/inside"
    )
    assert ran.returncode == 0, ran.stdout
    assert "skipped" not in ran.stdout


def test_all_that_needs_no_other_process_runs_on_trixies_python(cameras: VirtualCameras) -> None:
    """Raspberry Pi OS has Python 3.11 in bookworm and 3.13 in trixie."""
    alone = "not process and not client and not install and not virtual_camera"
    not_here = (
        # its message is that Picamera2 is not installed, and here it is
        "--deselect=tests/test_picamera2_camera.py::test_no_camera_is_told_with_what_to_type",
        # it makes a user namespace, which nobody may in a chroot
        "--deselect=tests/test_segment.py::test_a_full_dev_shm_is_told_at_once_with_the_cure",
    )
    ran = cameras.run(*PYTEST, "-m", alone, *not_here)
    assert ran.returncode == 0, ran.stdout
