# SPDX-License-Identifier: MIT
"""A folder that cannot be built is a failure, told with its reason, and is not taken for built later."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.running import environment
from tests.virtual_camera.cameras import HERE

pytestmark = pytest.mark.virtual_camera


def test_a_step_that_fails_fails_the_build(tmp_path: Path) -> None:
    """Bash forgets `set -e` in more places than one thinks."""
    programs = tmp_path / "bin"
    programs.mkdir()
    broken = programs / "debootstrap"
    broken.write_text("#!/bin/sh\necho 'E: no network' >&2\nexit 1\n")
    broken.chmod(0o755)
    changed = environment(XDG_CACHE_HOME=str(tmp_path), PATH=f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin")
    for _ in range(2):
        building = subprocess.run([HERE / "build"], env=changed, capture_output=True, text=True, check=False)
        assert building.returncode == 1
        assert building.stdout == ""
        assert "E: no network\nthe virtual camera cannot be built: see above, and" in building.stderr
    assert not list(tmp_path.rglob("built"))
