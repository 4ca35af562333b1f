# SPDX-License-Identifier: MIT
"""`make` on machines as they are: Debian's numpy and supervisor in place, things missing, tries cut off."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.running import CHECKOUT, environment

pytestmark = pytest.mark.install


def _told(folder: Path, python: str) -> tuple[int, str]:
    made = subprocess.run(
        ["make", "run", f"PYTHON={python}"],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in made.stdout + made.stderr
    return made.returncode, made.stdout


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder with just what make reads."""
    for name in ("Makefile", "setup.cfg", "pyproject.toml"):
        (tmp_path / name).write_bytes((CHECKOUT / name).read_bytes())
    return tmp_path


def _python(folder: Path, *lines: str) -> str:
    script = folder / "python"
    script.write_text("\n".join(("#!/bin/sh", *lines, 'exec /usr/bin/python3 "$@"', "")))
    script.chmod(0o755)
    return str(script)


def test_an_old_python_is_told_with_what_to_type(bare: Path) -> None:
    python = _python(bare, '[ "$1" = -V ] && { echo Python 3.9.2; exit; }', '[ "$1" = -c ] && exit 1')
    code, told = _told(bare, python)
    assert code != 0
    assert told == (
        f"Ringcast needs Python 3.11 or newer, and {python} is Python 3.9.2; "
        "type: make run PYTHON=python3.11 (or the newer one you have)\n"
    )


def test_no_python_at_all_is_told(bare: Path) -> None:
    code, told = _told(bare, "no-such-python")
    assert code != 0
    assert told == (
        "Ringcast needs Python 3.11 or newer, and there is no no-such-python; "
        "type: sudo apt install python3 python3-venv\n"
    )


def test_a_missing_python3_venv_is_told_with_what_to_type(bare: Path) -> None:
    """Debian splits ensurepip off; `import venv` works without it and fails later."""
    (bare / "hidden").mkdir()
    (bare / "hidden" / "ensurepip.py").write_text("raise ImportError('split off')\n")
    python = _python(bare, f"export PYTHONPATH={bare / 'hidden'}")
    code, told = _told(bare, python)
    assert code != 0
    assert told == f"{python} cannot make a virtual environment; type: sudo apt install python3-venv\n"
    assert not (bare / ".venv").exists()


def test_apts_numpy_stays_in_use_and_simplejpeg_works_with_it(clone: Path) -> None:
    """picamera2 comes from apt, compiled against apt's numpy: a newer one would break it."""
    show = (
        "import numpy, simplejpeg; print(numpy.__file__)\n"
        "simplejpeg.encode_jpeg(numpy.zeros((16, 16, 3), 'u1'))"
    )
    by_apt = subprocess.run(
        ["/usr/bin/python3", "-c", "import numpy; print(numpy.__file__)"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    ours = subprocess.run(
        [clone / ".venv/bin/python", "-c", show], capture_output=True, text=True, check=True
    ).stdout
    assert by_apt.startswith("/usr/lib/python3/dist-packages/"), "apt install python3-numpy"
    assert ours == by_apt


def test_the_other_supervisor_is_there_and_does_no_harm(clone: Path) -> None:
    """Debian's supervisord has the same module name, and wins over an editable install."""
    seen = subprocess.run(
        [clone / ".venv/bin/python", "-c", "import supervisor; print(supervisor.__file__)"],
        cwd="/", capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert seen.startswith("/usr/lib/python3/dist-packages/supervisor/"), "apt install supervisor"
    tests = "TESTS=tests/test_restart_policy.py tests/test_options.py -q"
    made = subprocess.run(
        ["make", "test", tests, "PYTHON=/usr/bin/python3"],
        cwd=clone, env=environment(), capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout
    assert " passed in " in made.stdout


def test_a_second_make_installs_nothing(clone: Path) -> None:
    made = subprocess.run(
        ["make", ".venv", "PYTHON=/usr/bin/python3"],
        cwd=clone, env=environment(), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "Installing" not in made.stdout
