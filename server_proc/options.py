# SPDX-License-Identifier: MIT
"""The options of the server process. Standard library only: the supervisor checks them too."""

from __future__ import annotations

from dataclasses import dataclass

from proc_start.options import number, option


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """What a person may choose about serving."""

    max_viewers: int = option(
        "64",
        expects="a number of viewers from 1 to 10000",
        help="streams open at once; one more is answered with 503",
        parse=number(int, 1, 10_000),
    )


@dataclass(frozen=True, kw_only=True)
class ServerDescriptors:
    """What the supervisor hands down; 0 and no name where the process was started by hand."""

    listen_fd: int = option("0", expects="a descriptor", help="the listening socket", parse=int)
    frames_fd: int = option("0", expects="a descriptor", help="the frames ring", parse=int)
    doorbell_fd: int = option("0", expects="a descriptor", help="the doorbell", parse=int)
    capture_board_fd: int = option("0", expects="a descriptor", help="capture's board", parse=int)
    supervisor_board_fd: int = option("0", expects="a descriptor", help="supervisor's board", parse=int)
    server_board_fd: int = option("0", expects="a descriptor", help="the own board", parse=int)
    instance_id: str = option("", expects="a word", help="this life of the service", parse=str)
