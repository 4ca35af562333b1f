# SPDX-License-Identifier: MIT
"""What each process says on its board: one frozen dataclass a board, and its way through JSON.

A reader can rely on every field: a board that lacks one, or has another type in it, is not read.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from shm_ring.errors import StatusError

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureStatus:
    """One capture process and its camera."""

    name: str
    size: tuple[int, int] | None
    """(width, height) in pixels, None before the first frame."""
    period_s: float
    fps: float
    frames: int
    dropped: Mapping[str, int]
    """Pictures that became no frame, by reason."""
    squeezed: int
    """Frames that were encoded again with a lower quality, because they fitted no slot."""
    stall_timeout_s: float
    first_frame_timeout_s: float
    identical_s: float
    """For how long pictures have been the same byte for byte, while their times moved on."""
    restarted_for_identical: bool
    """Whether a capture process was ended for that already; its successor reads it here."""
    step: str = ""
    """How far its start is: importing, opening, first frame; nothing where it does not say."""
    rest_s: float = 0.0
    """How long the camera should be left alone after two starts in a row without a first frame."""
    granted: Any = None
    """What the camera was asked for and gave, as it tells it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """The server process and what its viewers get."""

    pid: int
    alive_ns: int
    """When all of its threads were last seen to move (CLOCK_MONOTONIC): its heartbeat."""
    live: bool
    """Whether there is a live picture."""
    offered: int
    """Frames and placeholders that there were for viewers."""
    offer_every_s: float
    """The longest time between two of them while all is well."""
    viewers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildStatus:
    """One child process, as the supervisor sees it. Times are of CLOCK_MONOTONIC."""

    state: str
    since_ns: int
    stuck: bool
    pid: int | None
    watches: str
    """What counts as its progress, in words."""
    limit_s: float
    """How long it may make none."""
    tries: int
    """Starts since it last ran."""
    restarts: Mapping[str, int]
    """By reason."""
    last_reason: str | None
    last_error: str | None
    """The last error in the log of the process that ended last."""
    last_recovery_s: float | None
    recoveries_s: Mapping[str, int]
    """How many recoveries took how long."""
    next_start_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorStatus:
    """The supervisor and its children."""

    pid: int
    capture: ChildStatus
    server: ChildStatus


_HINTS: dict[type[Any], dict[str, Any]] = {
    kind: get_type_hints(kind) for kind in (CaptureStatus, ServerStatus, ChildStatus, SupervisorStatus)
}


def to_json(row: Any, **more: object) -> bytes:
    """Return a row, and `more`, as JSON.

    Raises:
        StatusError: a value is none that JSON has, such as NaN.
    """
    try:
        return json.dumps({**asdict(row), **more}, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise StatusError(f"{type(row).__name__} cannot be written as JSON: {error}") from error


def from_json(kind: type[Row], found: Mapping[str, Any]) -> Row:
    """Return the row that `to_json` wrote; what else there is in `found` is passed over.

    Raises:
        StatusError: a field is missing, or has a value of another type.
    """
    values = {}
    for name, hint in _HINTS[kind].items():
        if name not in found:
            raise StatusError(f"expected {kind.__name__} to have {name}; got {sorted(found)}")
        values[name] = _value(f"{kind.__name__}.{name}", hint, found[name])
    return kind(**values)


def _value(where: str, hint: Any, found: Any) -> Any:
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    for kind in kinds:
        if kind is Any or (kind is types.NoneType and found is None):
            return found
        if isinstance(kind, type) and is_dataclass(kind) and isinstance(found, Mapping):
            return from_json(kind, found)
        if get_origin(kind) is tuple and isinstance(found, list) and len(found) == len(get_args(kind)):
            return tuple(_value(where, each, one) for each, one in zip(get_args(kind), found, strict=True))
        if get_origin(kind) is not None and issubclass(get_origin(kind), Mapping):
            if isinstance(found, Mapping):
                return {str(name): _value(where, get_args(kind)[1], one) for name, one in found.items()}
        elif kind is float and type(found) in (int, float):
            return float(found)
        elif isinstance(kind, type) and type(found) is kind:
            return found
    raise StatusError(f"expected {where} to be {hint}; got {found!r}")
