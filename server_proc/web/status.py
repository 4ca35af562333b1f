# SPDX-License-Identifier: MIT
"""What `/status` and `/readyz` say, made from one snapshot. Pure: no clock, no Falcon."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from server_proc.live.snapshot import Snapshot
from server_proc.live.viewer import ViewerFacts
from shm_ring.board import Reading


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What does not change while this process lives."""

    instance_id: str
    """This life of the whole service: sequences start anew with each."""
    server_pid: int
    max_viewers: int
    max_viewers_per_address: int
    expected_size: tuple[int, int]
    """(width, height) of pictures for as long as there was none."""
    started_ns: int
    """CLOCK_MONOTONIC."""


def age_s(snapshot: Snapshot, now_ns: int) -> float | None:
    """Return the age of the newest frame in seconds, None where there is none."""
    if snapshot.frame is None:
        return None
    return max(0, now_ns - snapshot.frame.facts.captured_ns) / 1e9


def is_live(snapshot: Snapshot, now_ns: int) -> bool:
    """Tell whether there is a live picture."""
    age = age_s(snapshot, now_ns)
    return age is not None and age < snapshot.stale_after_s


def why_not_ready(snapshot: Snapshot, now_ns: int) -> str | None:
    """Return in a sentence why there is no live picture, None where there is one."""
    if is_live(snapshot, now_ns):
        return None
    age = age_s(snapshot, now_ns)
    what = "no frame yet" if age is None else f"the newest frame is {age:.1f} s old"
    camera = snapshot.supervisor.status["capture"] if snapshot.supervisor else {}
    state, reason = camera.get("state", "unknown"), camera.get("last_reason")
    return f"{what}; camera process: {state}" + (f", last ended: {reason}" if reason else "")


def status(snapshot: Snapshot, service: ServiceFacts, now_ns: int, key: str = "") -> dict[str, Any]:
    """Return the whole status as JSON can say it; `key` is that of whoever asks, "" for none."""
    frame = snapshot.frame
    reason = why_not_ready(snapshot, now_ns)
    capture = _board(snapshot.capture, now_ns)
    in_ring = {"busy": snapshot.dropped_busy, "too_big": snapshot.dropped_too_big}
    dropped = {**((capture or {}).pop("dropped", {})), **in_ring}
    age = age_s(snapshot, now_ns)
    return {
        "instance": service.instance_id,
        "ready": reason is None,
        "reason": reason,
        "frame": None
        if frame is None or age is None
        else {
            "sequence": frame.sequence,
            "age_ms": round(age * 1000),
            "captured_unix_s": frame.facts.captured_unix_ns / 1e9,
            "width_px": frame.facts.width_px,
            "height_px": frame.facts.height_px,
            "bytes": len(frame.jpeg),
        },
        "camera": capture,
        "dropped": dropped,
        "viewers": {
            "count": len(snapshot.viewers),
            "max": service.max_viewers,
            "max_per_address": service.max_viewers_per_address,
            "list": [_viewer(viewer, key) for viewer in snapshot.viewers],
        },
        "server": {
            "pid": service.server_pid,
            "up_s": round((now_ns - service.started_ns) / 1e9, 1),
        },
        "supervisor": _supervisor(snapshot.supervisor, now_ns),
    }


def status_text(told: dict[str, Any]) -> str:
    """Return the status as JSON for programs and people: viewers come last, one line for each."""
    head = {name: value for name, value in told.items() if name != "viewers"}
    counts = {name: value for name, value in told["viewers"].items() if name != "list"}
    viewers = ",".join(f"\n  {json.dumps(viewer)}" for viewer in told["viewers"]["list"])
    last = f'"viewers": {json.dumps(counts)[:-1]}, "list": [{viewers}]}}'
    return f"{json.dumps(head, indent=1)[:-2]},\n {last}\n}}\n"


def _viewer(viewer: ViewerFacts, key: str) -> dict[str, Any]:
    """Return a viewer's facts without its key: whoever knows that can take its place."""
    told = viewer._asdict()
    viewers_key = told.pop("key")
    told["mine"] = viewers_key == key != ""
    return told


def _board(reading: Reading | None, now_ns: int) -> dict[str, Any] | None:
    if reading is None:
        return None
    return {**reading.status, "board_age_s": round(reading.age_s(now_ns), 1)}


def _supervisor(reading: Reading | None, now_ns: int) -> dict[str, Any] | None:
    board = _board(reading, now_ns)
    for child in ("capture", "server"):
        if board and child in board:
            told = dict(board[child])
            at_ns, since_ns = told.pop("next_start_ns"), told.pop("since_ns")
            told["next_start_in_s"] = None if at_ns is None else round(max(0, at_ns - now_ns) / 1e9, 1)
            told["for_s"] = round(max(0, now_ns - since_ns) / 1e9, 1)
            board[child] = told
    return board
