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
    """The highest frame rate that it wants."""
    placeholder: bool = True
    """Whether it gets the placeholder while there is no live picture; if not, the last frame is repeated."""
