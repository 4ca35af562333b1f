# SPDX-License-Identifier: MIT
"""What systemd is told, on its own terms: a datagram socket, and descriptors from 3 on."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_proc.systemd import Notifier
from tests.conditions import eventually
from tests.fake_systemd import WATCHDOG_S, Systemd, under
from tests.mjpeg import Audience
from tests.running import Ringcast, free_port


@pytest.fixture(params=["file", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    address = str(tmp_path / "notify") if request.param == "file" else f"@ringcast-test-{os.getpid()}"
    one = Systemd(address)
    yield one
    one.close()


def test_it_is_told_once_and_in_time(systemd: Systemd) -> None:
    environment = {"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "8000000"}
    notifier = Notifier(environment)
    assert environment == {}, "children must not be taken for the service"
    notifier.status("well")
    notifier.status("well")
    for now_s in (100.0, 101.0, 101.9, 102.0):
        notifier.feed_watchdog(now_s)
    assert systemd.told() == ["STATUS=well", "WATCHDOG=1", "WATCHDOG=1"]


def test_a_watchdog_of_another_process_is_not_fed_often(systemd: Systemd) -> None:
    told = {"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "1"}
    notifier = Notifier(told)
    for now_s in range(100):
        notifier.feed_watchdog(now_s)
    assert systemd.fed() == 1


def test_nobody_who_does_not_listen_is_waited_for(tmp_path: Path) -> None:
    Notifier({}).status("well")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).status("well")


@pytest.mark.process
@pytest.mark.parametrize("systemd", ["file"], indirect=True)
def test_it_is_ready_without_a_camera_and_says_why_nothing_is_seen(systemd: Systemd) -> None:
    """A camera that is unplugged must not keep the unit, and what waits for it, from starting."""
    with under(systemd, "--camera=tests.silent_camera:SilentCamera", "--first-frame-timeout-s=60") as service:
        eventually(lambda: "READY=1" in systemd.told())
        eventually(lambda: systemd.last_status() == "no live picture: camera is starting, nobody watches")
        assert service.status()["ready"] is False
        environment = Path(f"/proc/{service.server_pid()}/environ").read_bytes()
        assert b"NOTIFY_SOCKET" not in environment
        assert b"WATCHDOG" not in environment


@pytest.mark.process
@pytest.mark.parametrize("systemd", ["file"], indirect=True)
def test_the_watchdog_is_fed_while_viewers_are_shown_something(systemd: Systemd) -> None:
    with under(systemd, "--camera=pattern", "--server-timeout-s=60") as service:
        before = service.ready()
        with Audience(service.port, 2):
            eventually(lambda: systemd.last_status() == "live picture, 20 frames a second, 2 viewers")
            fed = systemd.fed()
            eventually(lambda: systemd.fed() > fed + 1, what="food while frames flow")
            os.kill(before["supervisor"]["capture"]["pid"], signal.SIGSTOP)
            eventually(lambda: systemd.last_status().startswith("no live picture: "))
            fed = systemd.fed()
            eventually(lambda: systemd.fed() > fed + 1, what="food while placeholders flow")
            os.kill(service.server_pid(), signal.SIGSTOP)
            eventually(lambda: _goes_hungry(systemd), 3 * WATCHDOG_S, "a watchdog that gets nothing")
            assert service.process.poll() is None
        os.kill(before["server"]["pid"], signal.SIGCONT)
        service.process.send_signal(signal.SIGTERM)
        service.wait()
    assert "STOPPING=1" in systemd.told()


def _goes_hungry(systemd: Systemd) -> bool:
    """Tell whether it gets nothing for as long as it waits at most."""
    fed, since_s = systemd.fed(), time.monotonic()
    while systemd.fed() == fed and time.monotonic() - since_s < WATCHDOG_S:
        time.sleep(0.05)
    return systemd.fed() == fed


@pytest.mark.process
def test_it_serves_on_the_socket_that_systemd_bound() -> None:
    port = free_port()
    activate = shutil.which("systemd-socket-activate")
    assert activate, "sudo apt install systemd"
    command = (activate, f"--listen=127.0.0.1:{port}", sys.executable, "supervisor.py")
    with Ringcast("--camera=pattern", f"--listen=127.0.0.1:{port}", command=command) as service:
        before = service.ready()
        os.kill(before["server"]["pid"], signal.SIGKILL)
        assert service.ready()["server"]["pid"] != before["server"]["pid"]
        eventually(lambda: f"watch at http://127.0.0.1:{port}/ " in service.log)
        assert b"LISTEN_FDS" not in Path(f"/proc/{service.server_pid()}/environ").read_bytes()


@pytest.mark.process
def test_it_serves_on_every_socket_that_systemd_bound(tmp_path: Path) -> None:
    """A robot's own network and loopback, and a proxy's Unix socket."""
    port, file = free_port(), tmp_path / "http.sock"
    activate = shutil.which("systemd-socket-activate")
    assert activate, "sudo apt install systemd"
    where = (f"--listen=127.0.0.1:{port}", f"--listen=[::1]:{port}", f"--listen={file}")
    command = (activate, *where, sys.executable, "supervisor.py")
    with Ringcast("--camera=pattern", f"--listen=127.0.0.1:{port}", command=command) as service:
        service.ready()
        expected = [f"http://127.0.0.1:{port}/", f"http://[::1]:{port}/", f"unix:{file}"]
        eventually(lambda: service.urls() == expected, what="three URLs")
        by_tcp = ((socket.AF_INET, ("127.0.0.1", port)), (socket.AF_INET6, ("::1", port)))
        for family, address in (*by_tcp, (socket.AF_UNIX, str(file))):
            with socket.socket(family) as client:
                client.settimeout(10)
                client.connect(address)
                client.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
                assert client.recv(12) == b"HTTP/1.0 200"
        service.process.send_signal(signal.SIGTERM)
        assert service.wait() == 0
        assert file.is_socket(), "it is systemd's"


UNFIT = "--camera=tests.unfit_camera:UnfitCamera"
WHY = "expected unfit camera to have a period_s of more than 0 seconds, got -1.0"


def it_stays_and_says_why(service: Ringcast) -> None:
    service.status()  # with a socket of systemd's it starts only when somebody connects
    eventually(lambda: "no picture until this is corrected and the service is restarted: " in service.log)
    capture = eventually(
        lambda: (told := service.status()["supervisor"]["capture"])["state"] == "done" and told
    )
    assert (capture["last_error"], capture["restarts"]) == (WHY, {})
    code, body = service.get("/readyz")
    assert (code, WHY in body.decode()) == (503, True)
    assert service.get("/snapshot")[0] == 503, "a placeholder"
    os.kill(service.server_pid(), signal.SIGKILL)
    eventually(lambda: service.status()["supervisor"]["server"]["restarts"], what="a new server")
    service.process.send_signal(signal.SIGUSR1)
    eventually(lambda: "the camera cannot be restarted alone; restart the service" in service.log)
    assert service.process.poll() is None


@pytest.mark.process
@pytest.mark.parametrize("systemd", ["file"], indirect=True)
def test_a_camera_that_can_never_work_does_not_end_a_service_of_systemd(systemd: Systemd) -> None:
    """The page asks once a second: systemd would start it again for as long as a browser shows it."""
    with under(systemd, UNFIT) as service:
        it_stays_and_says_why(service)
        eventually(lambda: systemd.last_status() == f"no live picture: {WHY}; nobody watches")
        fed = systemd.fed()
        eventually(lambda: systemd.fed() > fed + 1, what="food")


@pytest.mark.process
def test_nor_does_it_under_socket_activation() -> None:
    """Without NOTIFY_SOCKET: started by a super-server of another make."""
    activate = shutil.which("systemd-socket-activate")
    assert activate, "sudo apt install systemd"
    listen = f"--listen=127.0.0.1:{free_port()}"
    with Ringcast(UNFIT, listen, command=(activate, listen, sys.executable, "supervisor.py")) as service:
        it_stays_and_says_why(service)


@pytest.mark.process
def test_started_by_hand_it_ends() -> None:
    with Ringcast(UNFIT) as service:
        assert service.wait(20) == os.EX_USAGE
    assert WHY in service.log


@pytest.mark.process
@pytest.mark.parametrize("good", [0, 1])
def test_a_socket_that_is_none_to_listen_on_is_told_once(good: int) -> None:
    """Systemd would hand it down again at each start, every 2 s for ever."""
    hand_down = (
        "import os, socket, sys\n"
        "handed = [socket.create_server(('127.0.0.1', 0)) for _ in range(GOOD)]\n"
        "handed.append(socket.socketpair()[0])\n"
        "for number, one in enumerate(handed):\n"
        "    os.dup2(one.fileno(), 20 + number)\n"
        "for number in range(len(handed)):\n"
        "    os.dup2(20 + number, 3 + number)\n"
        "os.environ |= {'LISTEN_FDS': str(len(handed)), 'LISTEN_PID': str(os.getpid())}\n"
        "os.execv(sys.executable, [sys.executable, 'supervisor.py', *sys.argv[1:]])\n"
    ).replace("GOOD", str(good))
    with Ringcast("--camera=pattern", command=(sys.executable, "-c", hand_down)) as service:
        assert service.wait() == os.EX_CONFIG
    assert f"of TCP or Unix streams; descriptor {3 + good} is something else; see deploy" in service.log
    assert "Traceback" not in service.log
