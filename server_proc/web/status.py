# SPDX-License-Identifier: MIT
"""What `/status` says, made from one outlook. Pure: no clock, no Falcon."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from server_proc.live.admission import Admission
from server_proc.live.fanout import Census
from server_proc.live.outlook import Outlook
from server_proc.live.viewer import ViewerFacts
from server_proc.live.wishes import Wishes
from shm_ring.board import Reading
from shm_ring.frame import Frame


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What does not change while this process lives, and what decides who is admitted."""

    instance_id: str
    """This life of the whole service: sequences start again with each."""
    server_pid: int
    admission: Admission
    max_viewers: int
    max_viewers_per_address: int
    started_ns: int
    """CLOCK_MONOTONIC."""


def status(
    outlook: Outlook, census: Census, service: ServiceFacts, now_ns: int, key: str = ""
) -> dict[str, Any]:
    """Return the whole status as JSON values; `key` is the client's own, and marks its viewer as `mine`."""
    reason = outlook.why_not_live(now_ns)
    capture = _board(outlook.capture, now_ns)
    in_ring = {"busy": outlook.dropped_busy, "too_big": outlook.dropped_too_big}
    return {
        "instance": service.instance_id,
        "ready": reason is None,
        "reason": reason,
        "frame": outlook.frame and _frame(outlook.frame, outlook, now_ns),
        "camera": capture,
        "dropped": {**(capture or {}).pop("dropped", {}), **in_ring},
        "viewers": _viewers(census, service, key),
        "server": {
            "pid": service.server_pid,
            "up_s": round((now_ns - service.started_ns) / 1e9, 1),
        },
        "supervisor": _supervisor(outlook, now_ns),
    }


def status_text(facts: dict[str, Any]) -> str:
    """Return the status as JSON for programs and people."""
    return json.dumps(facts, indent=1) + "\n"


def _frame(frame: Frame, outlook: Outlook, now_ns: int) -> dict[str, Any]:
    return {
        "sequence": frame.sequence,
        "age_ms": round((outlook.age_s(now_ns) or 0) * 1000),
        "captured_unix_s": frame.facts.captured_unix_ns / 1e9,
        "width_px": frame.facts.width_px,
        "height_px": frame.facts.height_px,
        "bytes": len(frame.jpeg),
    }


def _viewers(census: Census, service: ServiceFacts, key: str) -> dict[str, Any]:
    viewers, totals = census.viewers, census.totals
    return {
        "count": len(viewers),
        "max": service.max_viewers,
        "max_per_address": service.max_viewers_per_address,
        "places_taken": service.admission.places_taken,
        "refused": service.admission.refused,
        "total": totals.viewers,
        "disconnected": dict(totals.disconnected),
        "frames_sent": totals.sent + sum(facts.frames for _, facts in viewers),
        "frames_skipped": totals.skipped + sum(facts.skipped for _, facts in viewers),
        "frames_thinned": totals.thinned + sum(facts.thinned for _, facts in viewers),
        "bytes_sent": totals.bytes + sum(facts.bytes for _, facts in viewers),
        "list": [_viewer(wishes, facts, key) for wishes, facts in viewers],
    }


def _viewer(wishes: Wishes, facts: ViewerFacts, key: str) -> dict[str, Any]:
    return {**facts._asdict(), "mine": bool(key) and wishes.key == key}


def _board(reading: Reading[Any] | None, now_ns: int) -> dict[str, Any] | None:
    if reading is None:
        return None
    return {**asdict(reading.row), "board_age_s": round(reading.age_s(now_ns), 1)}


def _supervisor(outlook: Outlook, now_ns: int) -> dict[str, Any] | None:
    board = _board(outlook.supervisor, now_ns)
    for child in ("capture", "server"):
        if board:
            facts = board[child]
            at_ns, since_ns = facts.pop("next_start_ns"), facts.pop("since_ns")
            facts["next_start_in_s"] = None if at_ns is None else round(max(0, at_ns - now_ns) / 1e9, 1)
            facts["for_s"] = round(max(0, now_ns - since_ns) / 1e9, 1)
    return board
