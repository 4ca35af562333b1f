# SPDX-License-Identifier: MIT
"""Debian's nginx before a service, as a child with a configuration of its own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from pathlib import Path

from tests.conditions import eventually
from tests.running import environment, free_port

_SETTINGS = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {settings}
        location / {{
            proxy_pass http://{to}{colon};
        }}
        location /cam/ {{
            proxy_pass http://{to}{colon}/;
        }}
    }}
}}
"""
USUAL = """
        proxy_buffering off;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Host $http_host;
"""
"""What a person writes for a live stream."""


class Nginx:
    """In the foreground, on a port of loopback. Use it as a context."""

    def __init__(self, folder: Path, to: str, settings: str = USUAL) -> None:
        """Stand before `to`, which is HOST:PORT, or unix:/PATH."""
        self.port = free_port()
        colon = ":" if to.startswith("unix:") else ""
        self._file = folder / "nginx.conf"
        self._file.write_text(
            _SETTINGS.format(folder=folder, port=self.port, to=to, colon=colon, settings=settings)
        )

    def __enter__(self) -> Nginx:
        command: list[str | Path] = [
            "/usr/sbin/nginx",
            "-e",
            "stderr",
            "-p",
            self._file.parent,
            "-c",
            self._file,
        ]
        self._process = subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL)
        with contextlib.ExitStack() as undo:
            undo.callback(self.__exit__)
            eventually(self._answers, 10, "a port of nginx")
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()

    def _answers(self) -> bool:
        assert self._process.poll() is None, "nginx has ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
