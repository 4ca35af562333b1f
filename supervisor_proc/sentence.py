# SPDX-License-Identifier: MIT
"""How the service is, in one sentence for people. Pure."""

from __future__ import annotations

from shm_ring.status import CaptureStatus, ChildStatus


def in_a_sentence(
    capture: ChildStatus,
    server: ChildStatus,
    camera: CaptureStatus | None,
    viewers: int,
) -> str:
    """Return how the picture is, and how many watch.

    `capture` and `server` are what the supervisor knows of its children, `camera` what capture's board
    tells.
    """
    if server.state != "running":
        return f"nobody can watch: {_of_child('server', server)}"
    watching = "nobody watches" if not viewers else f"{viewers} viewer{'' if viewers == 1 else 's'}"
    if capture.state == "running" and camera is not None:
        return f"live picture, {camera.fps:.0f} frames a second, {watching}"
    return f"no live picture: {_of_child('camera', capture)}, {watching}"


def _of_child(name: str, child: ChildStatus) -> str:
    tries = f", try {child.tries}" if child.tries > 1 else ""
    last = f" (last ended: {child.last_reason})" if child.last_reason else ""
    what = {"stuck": "hangs in the kernel, a reboot may be needed", "backoff": "waits to be started again"}
    state = what.get(child.state, f"is {child.state}")
    return f"{name} {state}{tries}{last}"
