# SPDX-License-Identifier: MIT
"""The supervisor's own options. Those of its children are checked with them, before anything starts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from proc_start.options import number, option


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A port to listen on, of a host: a name or an address, or nothing for all of IPv4 and IPv6."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A Unix socket to listen on."""

    path: Path


Address = TcpAddress | UnixAddress


def _address(text: str) -> Address:
    if text.startswith("unix:/") and "\0" not in text:
        return UnixAddress(Path(text.removeprefix("unix:")))
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]*)):(\d{1,5})", text)
    if not found or int(found[3]) > 65535:
        raise ValueError(text)
    return TcpAddress(found[1] or found[2], int(found[3]))


def _instance(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]{1,32}", text):
        raise ValueError(text)
    return text


def _yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError(text)
    return text == "yes"


@dataclass(frozen=True, kw_only=True)
class SupervisorOptions:
    """What a person may choose about the service as a whole."""

    config: str | None = option(
        "none",
        expects="none or the name of a file",
        help="file of settings in TOML, such as fps = 20 for --fps 20; the command line overrides it",
        parse=lambda text: None if text == "none" else text,
        for_command_line=True,
    )
    print_config: bool = option(
        "no",
        expects="nothing behind it, or yes or no",
        help="only print each setting and where it came from, as a file for --config",
        parse=_yes,
        alone="yes",
        for_command_line=True,
    )

    listen: tuple[Address, ...] = option(
        "127.0.0.1:5000",
        expects="HOST:PORT such as 127.0.0.1:5000 or [::1]:5000, or :PORT, or unix:/PATH",
        help="HOST:PORT to listen on, or unix:/PATH for a proxy in the service's group; repeatable; "
        ":5000 lets anyone on the network watch over IPv4 and IPv6, 0.0.0.0:5000 over IPv4 only",
        parse=_address,
        repeatable=True,
    )
    instance: str = option(
        "main",
        expects="1 to 32 of a-z, 0-9 and _",
        help="name of this service, so that one for another camera can run beside it",
        parse=_instance,
    )
    server_timeout_s: float = option(
        "5",
        expects="seconds from 3 to 60",
        help="seconds, 3 to 60, that the server may stand still until it is replaced",
        parse=number(float, 3, 60),
    )
    backoff_s: float = option(
        "0.25",
        expects="seconds from 0.05 to 60",
        help="seconds, 0.05 to 60, until a process that ended is started again; doubled with each failure",
        parse=number(float, 0.05, 60),
    )
    backoff_most_s: float = option(
        "30",
        expects="seconds from 0.05 to 3600",
        help="the most seconds, 0.05 to 3600, until a process is started again",
        parse=number(float, 0.05, 3600),
    )
    slot_bytes: int | None = option(
        "auto",
        expects="bytes from 4096 to 67108864",
        help="room for one frame in shared memory; auto: 1048576, or width x height if that is more",
        parse=number(int, 4096, 1 << 26, auto=True),
    )
