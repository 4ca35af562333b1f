# SPDX-License-Identifier: MIT
"""The supervisor's own options. Those of its children are checked with them, before anything starts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from proc_start.options import number, option


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int


def _address(text: str) -> Address:
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+)):(\d{1,5})", text)
    if not found or int(found[3]) > 65535:
        raise ValueError(text)
    return Address(found[1] or found[2], int(found[3]))


def _instance(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]{1,32}", text):
        raise ValueError(text)
    return text


@dataclass(frozen=True, kw_only=True)
class SupervisorOptions:
    """What a person may choose about the service as a whole."""

    listen: Address = option(
        "127.0.0.1:5000",
        expects="HOST:PORT such as 127.0.0.1:5000 or [::1]:5000",
        help="HOST:PORT to listen on; 0.0.0.0:5000 lets anyone on the network watch",
        parse=_address,
    )
    instance: str = option(
        "main",
        expects="1 to 32 of a-z, 0-9 and _",
        help="name of this service, so that one for another camera can run beside it",
        parse=_instance,
    )
    slot_bytes: int | None = option(
        "auto",
        expects="bytes from 4096 to 67108864",
        help="room for one frame in shared memory; auto: 262144, or width x height if that is more",
        parse=number(int, 4096, 1 << 26, auto=True),
    )
