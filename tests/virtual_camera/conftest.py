# SPDX-License-Identifier: MIT
from __future__ import annotations

import importlib.util

import pytest

from tests.virtual_camera.cameras import STREET, Folder, VirtualCameras, built

collect_ignore = [] if importlib.util.find_spec("libcamera") else ["inside"]


@pytest.fixture(scope="session")
def folder() -> Folder:
    """The Debian folder with the real Picamera2."""
    return built()


@pytest.fixture(scope="module")
def cameras(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> VirtualCameras:
    """Cameras with one plugged in."""
    plugged_in = VirtualCameras(folder, tmp_path_factory.mktemp("cameras"))
    plugged_in.plug_in(STREET)
    return plugged_in
