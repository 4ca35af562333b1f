# SPDX-License-Identifier: MIT
"""A whole Ringcast as real processes, for tests that watch it from outside."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.conditions import eventually

CHECKOUT = Path(__file__).resolve().parent.parent
_numbers = itertools.count()


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment without what a `make` above it put there, with `changes`.

    And without PYTHONUNBUFFERED, which users do not have: it hides what waits for the lock of sys.stderr.
    """
    others = ("MAKE", "MFLAGS", "PYTHONUNBUFFERED")
    return {**{name: text for name, text in os.environ.items() if not name.startswith(others)}, **changes}


def alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def processes_of(service: Ringcast) -> list[int]:
    """Return the pids of everything that was started for a service, by its environment."""
    mark = f"RINGCAST_TEST={service.mark}".encode()
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except (OSError, ProcessLookupError):
            continue
    return [pid for pid in found if alive(pid)]


def in_shared_memory(instance: str) -> list[str]:
    """Return the names below /dev/shm that are an instance's."""
    return [path.name for path in Path("/dev/shm").glob(f"ringcast-{instance}-*")]


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Ringcast:
    """One service. Use it as a context: it is stopped at the end, and must then be gone."""

    def __init__(
        self,
        *arguments: str,
        instance: str | None = None,
        command: Sequence[str] = (sys.executable, "supervisor.py"),
        cwd: Path = CHECKOUT,
        python_path: str = str(CHECKOUT),
        log_to: int = subprocess.PIPE,
        own_group: bool = False,
    ) -> None:
        self.mark = f"test_{os.getpid()}_{next(_numbers)}"
        self.instance = instance or self.mark
        own = [f"--instance={self.instance}", *arguments]
        if not any(argument.startswith("--listen") for argument in arguments):
            own.insert(0, "--listen=127.0.0.1:0")
        whole = [*command, f"ARGS={' '.join(own)}"] if "make" in command[0] else [*command, *own]
        self.process = subprocess.Popen(
            whole,
            cwd=cwd,
            env=environment(RINGCAST_TEST=self.mark, PYTHONPATH=python_path),
            stdin=subprocess.DEVNULL,
            stdout=log_to,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=own_group,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.exit_code: int | None = None

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self._lines.append(line)

    def __enter__(self) -> Ringcast:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.wait()
        finally:
            if failed:
                print(self.log)
            for pid in processes_of(self):
                os.kill(pid, signal.SIGKILL)
                print(f"pid {pid} survived the service")

    @property
    def log(self) -> str:
        """All that was printed so far."""
        return "".join(self._lines)

    @property
    def pid(self) -> int:
        """The supervisor's pid."""
        return self.process.pid

    @property
    def port(self) -> int:
        """The port, once the service listens on it: one that was asked for, or that the log tells."""
        asked = re.search(r"--listen=127\.0\.0\.1:([1-9]\d*)", " ".join(map(str, self.process.args)))  # type: ignore[arg-type]
        if asked:
            port = int(asked[1])
            with socket.socket() as probe:
                eventually(lambda: probe.connect_ex(("127.0.0.1", port)) == 0, 20, "a listening port")
            return port
        found = eventually(
            lambda: re.findall(r"watch at http://\S+?:(\d+)/ ", self.log), 20, "a URL in the log"
        )
        return int(found[0])

    def urls(self) -> list[str]:
        """Where it says that it can be watched, once it says so."""
        return eventually(lambda: re.findall(r"watch at (\S+) ", self.log), 20, "a URL in the log")

    def wait(self, within_s: float = 10.0) -> int:
        """Wait for the end; return the exit code."""
        self.exit_code = self.process.wait(within_s)
        self._reader.join(within_s)
        return self.exit_code

    def get(self, path: str, within_s: float = 5.0) -> tuple[int, bytes]:
        """Ask for `path`; return the status code and the body.

        Where the server dies while it answers, it is asked again, as a browser does; a refused
        connection is an error.
        """
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=within_s)
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected):
                continue
            finally:
                connection.close()

    def status(self) -> dict[str, Any]:
        """What `/status` says."""
        return dict(json.loads(self.get("/status")[1]))

    def ready(self, within_s: float = 20.0) -> dict[str, Any]:
        """Wait for a live picture; return the status."""
        return eventually(lambda: (told := self.status())["ready"] and told, within_s, "a live picture")

    def capture_pid(self) -> int:
        """The capture process's pid, once there is one."""
        return int(eventually(lambda: self.status()["supervisor"]["capture"]["pid"], 10, "a capture process"))

    def server_pid(self) -> int:
        """The server process's pid."""
        return int(self.status()["server"]["pid"])
