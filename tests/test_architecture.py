# SPDX-License-Identifier: MIT
"""Arrows point down only. The tree is the architecture, so its imports must be."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tests.running import CHECKOUT

OURS = {"proc_start", "shm_ring", "capture_proc", "server_proc", "supervisor_proc", "supervisor"}

MAY_IMPORT = {
    "proc_start": set[str](),
    "shm_ring": set[str](),
    "capture_proc": {"proc_start", "shm_ring"},
    "server_proc": {"proc_start", "shm_ring"},
    "supervisor_proc": {"proc_start", "shm_ring"},
}

ONLY_STANDARD = (
    "proc_start",
    "shm_ring",
    "supervisor_proc",
    "capture_proc/options.py",
    "server_proc/options.py",
)


def _imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def _roots(file: Path) -> set[str]:
    return {name.split(".")[0] for name in _imports(file)}


def _files(place: str) -> list[Path]:
    path = CHECKOUT / place
    return [path] if path.suffix else sorted(path.rglob("*.py"))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_is_below_it(package: str) -> None:
    for file in _files(package):
        assert _roots(file) & OURS <= MAY_IMPORT[package] | {package}, file


@pytest.mark.parametrize("place", ONLY_STANDARD)
def test_the_ground_floor_needs_nothing_but_python(place: str) -> None:
    for file in _files(place):
        assert _roots(file) <= OURS | set(sys.stdlib_module_names), file


def test_the_live_picture_knows_neither_falcon_nor_waitress() -> None:
    for file in _files("server_proc/live"):
        assert not _roots(file) & {"falcon", "waitress"}, file
    for file in _files("server_proc"):
        assert "waitress" not in _roots(file) or file.parent.name == "takeover", file


def test_one_file_imports_picamera2() -> None:
    files = [file for file in _files("capture_proc") if "picamera2" in _roots(file)]
    assert [file.name for file in files] == ["picamera2_library.py"]
