# SPDX-License-Identifier: MIT
"""What a client asks of a stream, and who it is."""

from __future__ import annotations

from dataclasses import dataclass

from server_proc.live.offer import PartForm


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a client asked for."""

    address: str
    user_agent: str = ""
    key: str = ""
    """A secret of the client's, by which a new connection replaces its old one. In no answer and no log."""
    form: PartForm = PartForm.PLAIN
    fps: float | None = None
    """The most frames a second that it wants."""
    placeholder: bool = True
    """Whether it is shown a drawn picture while there is no live one; else the last frame is repeated."""
