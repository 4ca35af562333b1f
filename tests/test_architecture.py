# SPDX-License-Identifier: MIT
"""No import runs back up. The tree is the architecture, so its imports must be.

Each rule takes a tree and returns who breaks it: in ours nobody does, and in made-up ones exactly who should.
"""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

from tests.running import CHECKOUT

Rule = Callable[[Path], list[str]]

OURS = ("proc_start", "shm_ring", "capture_proc", "server_proc", "supervisor_proc", "supervisor")
MAY_IMPORT = {
    "shm_ring": ("shm_ring",),
    "proc_start": ("proc_start",),
    "capture_proc": ("capture_proc", "proc_start", "shm_ring"),
    "capture_proc/options.py": ("proc_start",),
    "supervisor_proc": ("supervisor_proc", "proc_start", "shm_ring"),
    "supervisor.py": (
        "supervisor_proc", "capture_proc.options", "server_proc.options", "proc_start", "shm_ring",
    ),
    "server_proc": ("server_proc", "proc_start", "shm_ring"),
    "server_proc/drill.py": ("proc_start",),
    "server_proc/options.py": ("proc_start",),
    "server_proc/priority.py": (),
    "server_proc/live": ("server_proc.live", "shm_ring"),
    "server_proc/takeover": (
        "server_proc.takeover", "server_proc.priority",
        "server_proc.live.admission", "server_proc.live.head", "server_proc.live.ticket",
    ),
    "server_proc/web": ("server_proc.web", "server_proc.options", "server_proc.live", "shm_ring"),
    "server_proc/web/doors": ("server_proc.web.doors", "server_proc.options"),
}  # fmt: skip
"""What of ours, and of the tests and benchmarks, each place may import."""
ONLY_IN = {
    "falcon": "server_proc/web",
    "waitress": "server_proc/takeover",
    "picamera2": "capture_proc/cameras/picamera2/library.py",
    "libcamera": "capture_proc/cameras/picamera2/library.py",
}
"""The one place that knows each of these."""
ONLY_STANDARD = (
    "proc_start", "shm_ring", "supervisor_proc", "supervisor.py",
    "capture_proc/options.py", "server_proc/options.py",
)  # fmt: skip


def runs_up(tree: Path) -> list[str]:
    """Return each import of a file that is not below it."""
    checked = {*OURS, "tests", "bench"}
    return [
        f"{file}: {name}"
        for place, may_import in MAY_IMPORT.items()
        for file in _files(tree, place)
        for name in _imports(tree, file)
        if _root(name) in checked and not any(_is_in(name, it) for it in may_import)
    ]


def out_of_place(tree: Path) -> list[str]:
    """Return each import of another's package by a file that must not know it."""
    return [
        f"{file}: {name}"
        for ours in OURS
        for file in _files(tree, ours)
        for name in _imports(tree, file)
        if _root(name) in ONLY_IN and not file.is_relative_to(ONLY_IN[_root(name)])
    ]


def not_standard(tree: Path) -> list[str]:
    """Return each import on the ground floor of what does not come with Python."""
    return [
        f"{file}: {name}"
        for place in ONLY_STANDARD
        for file in _files(tree, place)
        for name in _imports(tree, file)
        if _root(name) not in {*OURS, *sys.stdlib_module_names}
    ]


def in_a_circle(tree: Path) -> list[str]:
    """Return modules, the first and the last the same, each of which imports the next when it is run."""
    files = {
        ".".join(file.with_suffix("").parts).removesuffix(".__init__"): file
        for ours in OURS
        for file in _files(tree, ours)
    }
    graph = {
        module: {_module_of(name, files) for name in _imports(tree, file, at_run_time=True)} - {""}
        for module, file in files.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(reversed(error.args[1]))
    return []


RULES = (runs_up, out_of_place, not_standard, in_a_circle)


def _files(tree: Path, place: str) -> list[Path]:
    """Return a package's files, or one file, relative to the tree."""
    path = tree / place
    found = [path.with_suffix(".py")] if path.with_suffix(".py").is_file() else path.rglob("*.py")
    return sorted(file.relative_to(tree) for file in found)


def _imports(tree: Path, file: Path, *, at_run_time: bool = False) -> Iterator[str]:
    """Give the dotted names of what a file imports anywhere; at run time that is not only for types."""
    for node in _nodes(ast.parse((tree / file).read_text()), at_run_time):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = file.parts[: len(file.parts) - node.level] if node.level else ()
            whole = ".".join((*above, *filter(None, [node.module])))
            yield from (f"{whole}.{one.name}" for one in node.names)


def _nodes(node: ast.AST, at_run_time: bool) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        for_types = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
        if not (at_run_time and for_types):
            yield from _nodes(child, at_run_time)


def _module_of(name: str, modules: Collection[str]) -> str:
    """Return the module that a name is of, nothing where it is none of these."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


def _root(name: str) -> str:
    return name.partition(".")[0]


def _is_in(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


@pytest.mark.parametrize("rule", RULES)
def test_no_import_of_ours_breaks_a_rule(rule: Rule) -> None:
    assert rule(CHECKOUT) == []


def test_every_place_that_a_rule_names_is_there() -> None:
    """A rule for a folder that was renamed would hold for ever."""
    places = {*OURS, *MAY_IMPORT, *ONLY_IN.values(), *ONLY_STANDARD}
    names = {name.replace(".", "/") for allowed in MAY_IMPORT.values() for name in allowed}
    assert [place for place in sorted(places | names) if not _files(CHECKOUT, place)] == []


MADE_UP = {
    "shm_ring/ring.py": "import struct",
    "capture_proc/options.py": "from proc_start.options import option",
    "server_proc/live/feed.py": "from shm_ring.ring import RingReader",
    "server_proc/live/fanout.py": "import numpy\nfrom server_proc.live.feed import Feed",
    "server_proc/takeover/door.py": "import waitress\nfrom server_proc.live.head import Head",
    "server_proc/web/app.py": "import falcon\nfrom server_proc.live.fanout import FanOut",
    "supervisor.py": "from capture_proc.options import CaptureOptions",
}
"""A tree that breaks no rule."""


@pytest.mark.parametrize("rule", RULES)
def test_a_made_up_tree_that_keeps_the_rules_breaks_none(rule: Rule, tmp_path: Path) -> None:
    assert rule(_made_up(tmp_path, {})) == []


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("shm_ring/ring.py", "proc_start.logs"),
        ("proc_start/logs.py", "shm_ring.ring"),
        ("capture_proc/camera.py", "server_proc.options"),
        ("capture_proc/options.py", "shm_ring.frame"),
        ("supervisor_proc/child.py", "supervisor"),
        ("supervisor_proc/child.py", "capture_proc.options"),
        ("supervisor.py", "capture_proc.camera"),
        ("supervisor.py", "server_proc.live.outlook"),
        ("supervisor.py", "tests.fakes"),
        ("server_proc/__main__.py", "supervisor_proc.options"),
        ("server_proc/__main__.py", "bench.rig"),
        ("server_proc/options.py", "server_proc.live.freshness"),
        ("server_proc/live/feed.py", "server_proc.web.status"),
        ("server_proc/live/feed.py", "server_proc.web.doors.host"),
        ("server_proc/live/feed.py", "server_proc.takeover.door"),
        ("server_proc/live/feed.py", "server_proc.options"),
        ("server_proc/takeover/door.py", "server_proc.live.fanout"),
        ("server_proc/takeover/door.py", "server_proc.web.app"),
        ("server_proc/web/app.py", "server_proc.takeover.task"),
        ("server_proc/web/app.py", "server_proc"),
        ("server_proc/web/doors/host.py", "server_proc.web.app"),
    ],
)
@pytest.mark.parametrize(
    "form", ["import {whole}", "def f():\n    from {above} import {last}", "from {whole} import x"]
)
def test_an_import_that_runs_up_is_found(file: str, name: str, form: str, tmp_path: Path) -> None:
    above, _, last = name.rpartition(".")
    line = form.format(whole=name, above=above or name, last=last)
    found = runs_up(_made_up(tmp_path, {file: line}))
    assert {one.split(":")[0] for one in found} == {file}
    assert all(name in one for one in found)


@pytest.mark.parametrize(
    ("file", "line", "found"),
    [
        ("server_proc/live/fanout.py", "from .. import web", "server_proc.web"),
        ("server_proc/live/fanout.py", "from ..web.app import x", "server_proc.web.app.x"),
        ("server_proc/live/__init__.py", "from ..takeover import x", "server_proc.takeover.x"),
    ],
)
def test_a_relative_import_that_runs_up_is_found(file: str, line: str, found: str, tmp_path: Path) -> None:
    assert runs_up(_made_up(tmp_path, {file: line})) == [f"{file}: {found}"]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("server_proc/live/feed.py", "falcon"),
        ("server_proc/live/feed.py", "waitress.channel"),
        ("server_proc/takeover/door.py", "falcon"),
        ("server_proc/web/app.py", "waitress"),
        ("server_proc/__main__.py", "waitress"),
        ("supervisor.py", "falcon"),
        ("capture_proc/camera_list.py", "picamera2"),
    ],
)
def test_a_package_that_only_one_place_knows_is_found_elsewhere(file: str, name: str, tmp_path: Path) -> None:
    assert out_of_place(_made_up(tmp_path, {file: f"import {name}"})) == [f"{file}: {name}"]


@pytest.mark.parametrize("place", ONLY_STANDARD)
def test_what_does_not_come_with_python_is_found_on_the_ground_floor(place: str, tmp_path: Path) -> None:
    file = place if place.endswith(".py") else f"{place}/one.py"
    assert not_standard(_made_up(tmp_path, {file: "import numpy.linalg"})) == [f"{file}: numpy.linalg"]


def test_a_circle_is_found_and_none_that_is_only_for_types(tmp_path: Path) -> None:
    back = "from server_proc.live.fanout import FanOut"
    circle = in_a_circle(_made_up(tmp_path / "one", {"server_proc/live/feed.py": back}))
    assert sorted(circle[1:]) == ["server_proc.live.fanout", "server_proc.live.feed"]
    for_types = f"import typing\nif typing.TYPE_CHECKING:\n    {back}"
    assert in_a_circle(_made_up(tmp_path / "other", {"server_proc/live/feed.py": for_types})) == []


def _made_up(folder: Path, files: dict[str, str]) -> Path:
    """Write a tree that breaks no rule but with these files."""
    for name, text in {**MADE_UP, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder
