# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from capture_proc.options import (
    CaptureCommands,
    CaptureOptions,
    ControlOrder,
    Picamera2Options,
    identical_after_or_default,
    stall_timeout_or_default,
)
from proc_start.options import OptionsError, number, option, options_of, read_command_line
from server_proc.options import ServerOptions
from supervisor_proc.options import SupervisorOptions, TcpAddress, UnixAddress


@dataclass(frozen=True)
class Table:
    speed_m: int = option("5", expects="metres from 1 to 9", help="100% speed", parse=number(int, 1, 9))
    name: str = option("car", expects="a name", help="who", parse=str)


def faults_of(*argv: str) -> tuple[str, ...]:
    tables = (SupervisorOptions, CaptureOptions, CaptureCommands, Picamera2Options, ServerOptions)
    with pytest.raises(OptionsError) as caught:
        read_command_line(argv, *tables, program="p", about="a")
    return caught.value.faults


def test_what_is_not_typed_has_its_default() -> None:
    line = read_command_line(["--speed-m", "7"], Table, program="p", about="a")
    assert line.table(Table) == Table(speed_m=7, name="car")


def test_only_what_was_typed_is_passed_on() -> None:
    line = read_command_line(["--name=x y", "--speed-m", "3"], Table, program="p", about="a")
    assert line.argv(Table) == ["--speed-m=3", "--name=x y"]


def test_an_option_that_may_come_again_keeps_all_and_any_other_the_last() -> None:
    orders = ["--control=A=1", "--control", "B=2,3"]
    line = read_command_line(
        [*orders, "--encoder=x", "--encoder=auto"], Picamera2Options, program="p", about="a"
    )
    assert line.table(Picamera2Options).control == (ControlOrder("A", "1"), ControlOrder("B", "2,3"))
    assert line.argv(Picamera2Options) == ["--control=A=1", "--control=B=2,3", "--encoder=auto"]
    assert Picamera2Options().control == ()


def test_it_listens_where_every_listen_says_and_else_at_the_default() -> None:
    words = ["--listen=:80", "--listen", "unix:/run/x:y.sock", "--listen=camera.local:5000"]
    line = read_command_line(words, SupervisorOptions, program="p", about="a")
    assert line.table(SupervisorOptions).listen == (
        TcpAddress("", 80), UnixAddress(Path("/run/x:y.sock")), TcpAddress("camera.local", 5000),
    )  # fmt: skip
    assert SupervisorOptions().listen == (TcpAddress("127.0.0.1", 5000),)


def test_a_flag_needs_no_value() -> None:
    line = read_command_line(["--list-cameras"], CaptureCommands, program="p", about="a")
    assert line.table(CaptureCommands).list_cameras
    assert not CaptureCommands().list_cameras


def test_every_fault_is_told_at_once_with_what_was_expected() -> None:
    """A person who mends one fault must not be sent to the next."""
    assert faults_of(
        "--size", "640", "--fps=fast", "--quality", "--listn", "1", "--max-viewers=0", "--instance=A-b"
    ) == (
        "'--listn' is no option; did you mean --listen?",
        "--size expects WIDTHxHEIGHT in even pixels from 16 to 8192, such as 640x480; '640' came",
        "--fps expects frames a second from 0.1 to 240; 'fast' came",
        "--quality expects a JPEG quality from 1 to 100; nothing came",
        "--max-viewers expects a number of viewers from 1 to 10000; '0' came",
        "--instance expects 1 to 32 of a-z, 0-9 and _; 'A-b' came",
    )


@pytest.mark.parametrize(
    "argv",
    [
        ["--listen=5000"], ["--listen=h:99999"], ["--listen=::1:5000"],
        ["--listen=unix:run/x"], ["--listen=unix:"], ["--listen=unix:/a\0b"],
        ["--size=641x480"], ["--size=8x8"], ["--size=640*480"], ["--fps=0"], ["--fps=nan"],
        ["--camera=no_such.avi"], ["--camera=a.b:"], ["--stall-timeout-s=0.1"], ["--slot-bytes=9"],
        ["--quality=101"], ["--frames-fd=3"], ["words"], ["--help=3"],
        ["--rotate=45"], ["--flip=both"], ["--control=AfMode"], ["--control==1"], ["--encoder=gpu"],
        ["--camera=picamera2:"], ["--sensor-mode=big"], ["--list-cameras=maybe"],
        ["--camera=" + "x" * 300 + ".avi"],
    ],
)  # fmt: skip
def test_a_wrong_value_is_one_fault(argv: list[str]) -> None:
    assert len(faults_of(*argv)) == 1


def test_values_are_read_as_a_person_means_them() -> None:
    line = read_command_line(
        ["--listen=[::]:80", "--size=1280x720", "--camera=mine:Cam", "--fps=auto"],
        SupervisorOptions, CaptureOptions, program="p", about="a",
    )  # fmt: skip
    assert line.table(SupervisorOptions).listen == (TcpAddress("::", 80),)
    capture = line.table(CaptureOptions)
    assert (capture.size, capture.fps) == ((1280, 720), None)


def test_the_stall_limit_follows_the_frame_rate() -> None:
    assert stall_timeout_or_default(None, 0.05) == 2.0
    assert stall_timeout_or_default(None, 1.0) == 8.0
    assert stall_timeout_or_default(5.0, 1.0) == 5.0


def test_help_prints_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_command_line(["--help"], Table, program="p", about="a")
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert all(flag in told for flag in options_of(Table))
    assert "100% speed (default: 5)" in told


@pytest.mark.parametrize(("text", "seconds"), [("auto", 10.0), ("2.5", 2.5), ("never", float("inf"))])
def test_when_identical_pictures_are_a_fault(text: str, seconds: float) -> None:
    line = read_command_line([f"--identical-after-s={text}"], CaptureOptions, program="p", about="a")
    assert identical_after_or_default(line.table(CaptureOptions).identical_after_s, 0.05) == seconds
    assert identical_after_or_default(None, 5.0) == 40.0, "two pictures are not enough to say so"
    assert faults_of("--identical-after-s=0") == (
        "--identical-after-s expects seconds from 1 to 3600, auto or never; '0' came",
    )
