# SPDX-License-Identifier: MIT
"""How the service is, in one sentence for people. Pure."""

from __future__ import annotations

from shm_ring.status import CaptureStatus, ChildStatus, ServerStatus


def in_a_sentence(
    capture: ChildStatus,
    server: ChildStatus,
    camera: CaptureStatus | None,
    served: ServerStatus | None,
) -> str:
    """Return how the picture is, and how many watch.

    `capture` and `server` are what the supervisor knows of its children, `camera` and `served` what those say
    on their boards. Whether the picture is live is the server's word, as for viewers.
    """
    if server.state != "running" or served is None:
        return f"nobody can watch: {_of_child('server', server)}"
    count = served.viewers
    watching = f"{count} viewer{'' if count == 1 else 's'}" if count else "nobody watches"
    if served.live:
        rate = f", {camera.fps:.0f} frames a second" if camera else ""
        return f"live picture{rate}, {watching}"
    if capture.state == "done":
        return f"no live picture: {capture.last_error or capture.last_reason}; {watching}"
    what = "camera gives no new picture" if capture.state == "running" else _of_child("camera", capture)
    return f"no live picture: {what}, {watching}"


def _of_child(name: str, child: ChildStatus) -> str:
    tries = f", try {child.tries}" if child.tries > 1 else ""
    last = f" (last ended: {child.last_reason})" if child.last_reason else ""
    what = {"stuck": "hangs in the kernel, a reboot may be needed", "backoff": "waits to be started again"}
    state = what.get(child.state, f"is {child.state}")
    return f"{name} {state}{tries}{last}"
