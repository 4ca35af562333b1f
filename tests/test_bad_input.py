# SPDX-License-Identifier: MIT
"""What a person can get wrong: one clear sentence each, no traceback, and nothing else suffers."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conditions import eventually
from tests.fakes import jpeg_of, noise, rgb
from tests.mjpeg import Audience
from tests.running import CHECKOUT, Ringcast, processes_of

pytestmark = pytest.mark.process


def errors_of(service: Ringcast) -> list[str]:
    """Return the sentences that the log has at ERROR."""
    assert "Traceback" not in service.log
    return [line.split(" ERROR ", 1)[1].strip() for line in service.log.splitlines() if " ERROR " in line]


def fails(*arguments: str) -> tuple[int, list[str]]:
    with Ringcast(*arguments) as service:
        code = service.wait(20)
    assert processes_of(service) == []
    return code, errors_of(service)


def test_all_wrong_options_are_told_at_once() -> None:
    code, told = fails("--size=640", "--fps=fast", "--qualty=80", "--max-viewers=none")
    assert code == 64
    assert told == [
        "'--qualty=80' is no option; did you mean --quality?",
        "--size expects WIDTHxHEIGHT in even pixels from 16 to 8192, such as 640x480; '640' came",
        "--fps expects frames a second from 0.1 to 240; 'fast' came",
        "--max-viewers expects a number of viewers from 1 to 10000; 'none' came",
    ]


def test_a_port_in_use_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, told = fails("--camera=pattern", f"--listen=127.0.0.1:{port}")
    assert code == 69
    assert told == [
        f"port {port} is held by another program; stop it or choose --listen with another port, such as "
        f"127.0.0.1:{port + 1}"
    ]


@pytest.mark.parametrize(
    ("camera", "sentence"),
    [
        (
            "tests.fakes:Nobody",
            "--camera tests.fakes:Nobody: module 'tests.fakes' has no class 'Nobody'; check",
        ),
        ("README.md", "--camera README.md: expected a video file, but it cannot be decoded"),
    ],
    ids=["class", "video"],
)
def test_a_camera_that_can_never_work_ends_the_service(camera: str, sentence: str) -> None:
    """Restarting it would only repeat the sentence."""
    code, told = fails(f"--camera={camera}")
    assert code == 64
    assert len(told) == 1
    assert sentence in told[0]


def test_footage_that_appears_later_is_picked_up(tmp_path: Path) -> None:
    """A disk that is mounted later ended the service at every boot."""
    with Ringcast(f"--camera={tmp_path}/disk", "--backoff-most-s=0.5") as service:
        eventually(lambda: "disk: no such file or folder" in service.log, 20)
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "0.jpg").write_bytes(jpeg_of(noise((320, 240))))
        (tmp_path / "new").rename(tmp_path / "disk")
        service.ready()


def test_frames_that_fit_no_slot_are_shown_in_lower_quality() -> None:
    """A first frame like that ended the service, a later one restarted the camera for ever."""
    with Ringcast("--camera=pattern", "--quality=100", "--slot-bytes=20000") as service:
        before = service.ready()
        with Audience(service.port, 1) as audience:
            eventually(lambda: len(audience.viewers[0].frames) > 20)
            audience.check()
        camera = eventually(lambda: (row := service.status()["camera"]) and row["squeezed"] and row)
        assert camera["squeezed"] < camera["frames"], "the next frame begins where the last one fitted"
        assert camera["size"] == [640, 480]
        assert service.capture_pid() == before["supervisor"]["capture"]["pid"]
    assert errors_of(service) == []


def test_ready_jpegs_that_all_fit_no_slot_restart_nothing(tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(jpeg_of(noise((320, 240))))
    with Ringcast(f"--camera={tmp_path}", "--slot-bytes=4096", "--stall-timeout-s=0.5") as service:
        eventually(lambda: service.status()["dropped"]["too_big"] > 40, 20)  # 2 s: more than both limits
        assert service.status()["supervisor"]["capture"]["restarts"] == {}
        assert service.get("/readyz")[0] == 503
    assert service.log.count("do not fit a slot of 4096; raise --slot-bytes") == 1


def test_a_stall_limit_below_the_frame_period_ends_the_service() -> None:
    """It would restart a healthy camera for ever."""
    code, told = fails("--camera=pattern", "--fps=0.2", "--stall-timeout-s=3")
    assert code == 64
    assert told == [
        "a stall limit of 3 s is less than two frame periods of 5 s; raise --stall-timeout-s or --fps"
    ]


def test_footage_that_vanishes_does_not_change_how_a_stop_ends(tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(jpeg_of(noise((320, 240))))
    with Ringcast(f"--camera={tmp_path}") as service:
        service.ready()
        (tmp_path / "0.jpg").unlink()
        eventually(lambda: "no camera (exit 69)" in service.log)
        service.process.send_signal(signal.SIGTERM)
        assert service.wait(8) == 0


def test_a_dev_shm_that_is_too_small_is_told() -> None:
    mounted = 'mount -t tmpfs -o size=1M none /dev/shm && exec "$0" "$@"'
    command = ("unshare", "-rm", "sh", "-c", mounted, sys.executable, "supervisor.py")
    with Ringcast("--camera=pattern", command=command) as service:
        assert service.wait(20) == 71
    told = errors_of(service)
    assert len(told) == 1
    assert told[0].startswith("/dev/shm has 1048576 bytes free, and ringcast-")
    assert "lower --slot-bytes, or make /dev/shm larger" in told[0]


def test_a_frame_too_large_is_dropped_counted_and_told_once_while_others_go_on(
    tmp_path: Path,
) -> None:
    size = (320, 240)
    small, large = jpeg_of(rgb(90, size)), jpeg_of(noise(size), 100)
    for number in range(10):
        (tmp_path / f"{number}.jpg").write_bytes(large if number == 7 else small)
    assert len(large) > 50_000
    with Ringcast(f"--camera={tmp_path}", "--slot-bytes=50000") as service:
        service.ready()
        with Audience(service.port, 2) as audience:
            eventually(lambda: service.status()["dropped"]["too_big"] >= 3)
            eventually(lambda: all(len(viewer.frames) > 20 for viewer in audience.viewers))
            audience.check()
        status = service.status()
    cure = f"a frame was dropped: {len(large)} bytes do not fit a slot of 50000; raise --slot-bytes"
    assert service.log.count(cure) == 1
    assert status["supervisor"]["capture"]["restarts"] == {}
    gaps = [seen.sequence for seen in audience.viewers[0].frames if seen.sequence % 10 == 8]
    assert gaps == [], "the eighth of each ten is the one that was dropped"


def test_a_truncated_or_empty_jpeg_never_reaches_a_viewer(tmp_path: Path) -> None:
    whole = jpeg_of(noise((320, 240)))
    for number, content in enumerate((whole, whole[:5000], b"", whole[:-1], whole)):
        (tmp_path / f"{number}.jpg").write_bytes(content)
    with Ringcast(f"--camera={tmp_path}") as service:
        service.ready()
        with Audience(service.port, 2) as audience:
            eventually(lambda: (service.status()["dropped"]).get("unusable", 0) >= 9)
            audience.check()
        assert set(audience.jpegs.values()) == {whole}
    assert service.log.count("a picture was dropped: ") == 1


def test_a_camera_class_of_somebodys_own_that_fails_is_told_where(tmp_path: Path) -> None:
    (tmp_path / "broken_camera.py").write_text(
        "class Camera:\n    def __init__(self, settings):\n        self.lens = settings.lens\n"
    )
    with Ringcast("--camera=broken_camera:Camera", python_path=f"{CHECKOUT}:{tmp_path}") as service:
        eventually(lambda: "failed (exit 70)" in service.log)
        assert service.get("/livez")[0] == 200, "the server goes on, and the camera is tried again"
        eventually(lambda: b"last ended: failed (exit 70)" in service.get("/readyz")[1])
    told = errors_of(service)
    assert "camera broken_camera:Camera failed: AttributeError: " in told[0]
    assert "broken_camera.py, line 3)" in told[0]


def test_a_camera_whose_facts_cannot_be_written_is_shown(tmp_path: Path) -> None:
    """It was restarted for ever, each time with its first picture."""
    (tmp_path / "boasting_camera.py").write_text(
        "import numpy\n"
        "from capture_proc.cameras.pattern import PatternCamera\n"
        "class Camera(PatternCamera):\n"
        "    granted = {'gain': numpy.float32(1.5), 'notes': 'x' * 20_000}\n"
        "    def __init__(self, settings):\n"
        "        super().__init__(settings)\n"
        "        self.name, self.period_s = 'lens ' * 5000, numpy.float32(self.period_s)\n"
    )
    with Ringcast("--camera=boasting_camera:Camera", python_path=f"{CHECKOUT}:{tmp_path}") as service:
        service.ready()
        camera = eventually(lambda: (told := service.status()["camera"]) and told["frames"] > 20 and told)
        assert camera["granted"] is None
        assert camera["name"].startswith("lens lens")
        assert service.status()["supervisor"]["capture"]["restarts"] == {}
    assert service.log.count("/status cannot show what the camera granted (StatusError: ") == 1


def test_the_capture_process_alone_says_how_many_frames_a_second_it_makes() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "capture_proc", "--camera", "pattern"],
        cwd=CHECKOUT, stderr=subprocess.PIPE, text=True,
    ) as alone:  # fmt: skip
        assert alone.stderr is not None
        told = [alone.stderr.readline() for _ in range(3)]
        alone.terminate()
        assert alone.wait(10) == 0
    assert "camera opened: test pattern 640x480" in told[0]
    assert " frames a second" in told[2]


def test_the_server_process_alone_says_what_to_type() -> None:
    alone = subprocess.run(
        [sys.executable, "-m", "server_proc"], cwd=CHECKOUT,
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert alone.returncode == 64
    assert alone.stderr.strip().endswith("the supervisor starts the server; type: make run")
