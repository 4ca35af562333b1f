# SPDX-License-Identifier: MIT
from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from tests.virtual_camera.cameras import STREET, Folder, VirtualCameras, built

# not where libcamera is: on a Raspberry Pi these tests must not run on its real camera
collect_ignore = [] if importlib.util.find_spec("virtual_sensor") else ["inside"]


@pytest.fixture(scope="session")
def folder() -> Folder:
    """The Debian folder with the real Picamera2."""
    return built()


@pytest.fixture(autouse=True)
def mended(request: pytest.FixtureRequest) -> Iterator[None]:
    """End all faults after a test, whatever became of it."""
    yield
    if "cameras" in request.fixturenames:
        request.getfixturevalue("cameras").mend_all()


@pytest.fixture(scope="module")
def cameras(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> VirtualCameras:
    """Cameras with one plugged in."""
    plugged_in = VirtualCameras(folder, tmp_path_factory.mktemp("cameras"))
    plugged_in.plug_in(STREET)
    return plugged_in
