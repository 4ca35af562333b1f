# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
from pathlib import Path

import pytest

from capture_proc.options import CaptureCommands, CaptureOptions, ControlOrder, Picamera2Options
from proc_start.options import CommandLine, OptionsError, read_command_line
from server_proc.options import ServerOptions
from supervisor_proc.options import SupervisorOptions
from tests.conditions import eventually
from tests.running import Ringcast

TABLES = (SupervisorOptions, CaptureOptions, CaptureCommands, Picamera2Options, ServerOptions)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ringcast.toml"


def read(file: Path, *argv: str) -> CommandLine:
    return read_command_line(
        [f"--config={file}", *argv], *TABLES, program="p", about="a", settings_flag="--config"
    )


def faults_of(file: Path, *argv: str) -> tuple[str, ...]:
    with pytest.raises(OptionsError) as caught:
        read(file, *argv)
    return caught.value.faults


def test_settings_are_options_without_their_dashes(file: Path) -> None:
    file.write_text(
        'size = "1280x720"\nfps = 12.5\nmax-viewers = 7\nstall_timeout_s = 3\n'
        'control = ["ExposureTime=10000", "AwbEnable=False"]\n'
    )
    line = read(file)
    capture = line.table(CaptureOptions)
    assert (capture.size, capture.fps, capture.stall_timeout_s) == ((1280, 720), 12.5, 3.0)
    assert line.table(ServerOptions).max_viewers == 7
    assert line.table(Picamera2Options).control == (
        ControlOrder("ExposureTime", "10000"),
        ControlOrder("AwbEnable", "False"),
    )
    assert line.argv(CaptureOptions) == ["--size=1280x720", "--fps=12.5", "--stall-timeout-s=3"]


def test_the_command_line_overrides_the_file(file: Path) -> None:
    file.write_text('fps = 12\nquality = 50\ncontrol = ["A=1"]\n')
    line = read(file, "--fps=25", "--control=B=2")
    assert (line.table(CaptureOptions).fps, line.table(CaptureOptions).quality) == (25.0, 50)
    assert line.table(Picamera2Options).control == (ControlOrder("B", "2"),)


def test_every_fault_is_told_at_once_with_its_file_and_line(file: Path) -> None:
    file.write_text(
        '# mine\nfps = "fast"\n\nqualty = 50\nsize = { width = 640 }\nconfig = "other"\n'
        "max-viewers = [1, 2]\n[camera]\n"
    )
    assert faults_of(file, "--quality=0") == (
        f"{file}, line 4: qualty is no option; did you mean quality?",
        f"{file}, line 5: size expects a text, a number or true or false; {{'width': 640}} came",
        f"{file}, line 8: camera expects a text, a number or true or false; {{}} came",
        f"{file}, line 6: config is for the command line alone",
        f"{file}, line 2: fps expects frames a second from 0.1 to 240; 'fast' came",
        f"{file}, line 7: max-viewers expects one value; 2 came",
        "--quality expects a JPEG quality from 1 to 100; '0' came",
    )


def test_a_command_is_no_setting(file: Path) -> None:
    """A service that finds one in its file would list the cameras, end, and be started again, for ever."""
    file.write_text("list-cameras = true\n")
    assert faults_of(file) == (f"{file}, line 1: list-cameras is for the command line alone",)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"fps = \n", "expected settings in TOML, such as fps = 20 (Invalid value (at line 1, column 7))"),
        (b"fps = 1\nfps = 2\n", "expected settings in TOML, such as fps = 20 (Cannot overwrite a value (at"),
        (b"\xff\xfe", "expected settings in TOML, such as fps = 20 ('utf-8' codec can't decode"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_toml_is_told(file: Path, content: bytes, told: str) -> None:
    file.write_bytes(content)
    (fault,) = faults_of(file)
    assert fault.startswith(f"{file}: {told}")


def test_a_file_that_cannot_be_read_is_told(file: Path) -> None:
    told = f"the settings in {file} cannot be read: No such file or directory; check its name"
    assert faults_of(file) == (told,)
    assert "Is a directory" in faults_of(file.parent)[0]


def test_what_is_printed_tells_where_each_setting_came_from_and_can_be_read_again(file: Path) -> None:
    file.write_text('# mine\nfps = 29.97002997\ncontrol = ["A=1", "B=\\"quoted\\""]\n')
    line = read(file, "--quality=50")
    printed = str(line)
    lines = printed.splitlines()
    assert 'quality = "50"  # command line' in lines
    assert f'fps = "29.97002997"  # {file}, line 2' in lines
    assert 'listen = ["127.0.0.1:5000"]  # default' in lines
    again = file.with_name("again.toml")
    again.write_text(printed)
    for table in TABLES[1:]:
        assert read(again).table(table) == line.table(table)


@pytest.mark.process
def test_settings_reach_the_processes(file: Path) -> None:
    file.write_text('size = "320x240"\nfps = 10\ncamera = "pattern"\nmax-viewers = 3\n')
    with Ringcast(f"--config={file}") as service:
        told = service.ready()
        assert told["frame"]["width_px"] == 320
        assert told["viewers"]["max"] == 3
        assert eventually(lambda: service.status()["camera"])["period_s"] == 0.1


@pytest.mark.process
def test_settings_are_printed_and_nothing_is_started(file: Path) -> None:
    file.write_text("fps = 10\n")
    with Ringcast(f"--config={file}", "--print-config") as service:
        assert service.wait() == os.EX_OK
    assert f'fps = "10"  # {file}, line 1\n' in service.log
    assert "watch at" not in service.log


@pytest.mark.process
def test_faults_end_the_start_without_a_traceback(file: Path) -> None:
    file.write_text("fps = 0\nspeed = 1\n")
    with Ringcast(f"--config={file}", "--slots=1") as service:
        assert service.wait() == os.EX_USAGE
    assert service.log.count("ERROR") == 3
    assert "Traceback" not in service.log
