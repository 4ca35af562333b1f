# SPDX-License-Identifier: MIT
"""What `--list-cameras` prints. Pure: it knows facts and no camera."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from capture_proc.camera_controls import INSTEAD, Control
from capture_proc.cameras.picamera2.modes import SensorMode


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """What is to be known of a camera before it is chosen."""

    camera_id: str
    model: str
    least_px: tuple[int, int] = (0, 0)
    """(width, height) of the smallest picture that it offers."""
    most_px: tuple[int, int] = (0, 0)
    fps: tuple[float, float] | None = None
    """The fewest and the most frames a second, where they do not depend on a sensor mode."""
    modes: Sequence[SensorMode] = ()
    controls: Mapping[str, Control] = field(default_factory=dict)
    fault: str | None = None
    """Why nothing more is known."""


def camera_list(cameras: Iterable[CameraFacts]) -> str:
    """Return the text, a paragraph for each camera."""
    return "\n\n".join("\n".join(_lines(camera)) for camera in cameras)


def _lines(camera: CameraFacts) -> Iterable[str]:
    yield f"{camera.model}: --camera {shlex.quote(f'picamera2:{camera.camera_id}')}"
    if camera.fault is not None:
        yield f"  {camera.fault}"
        return
    yield "  sizes: {}x{} to {}x{}".format(*camera.least_px, *camera.most_px)
    if camera.fps is not None:
        yield "  frames a second: {:.4g} to {:.4g}".format(*camera.fps)
    if camera.modes:
        yield "  sensor modes:"
        widest = max(mode.view_px for mode in camera.modes)
        for mode in camera.modes:
            view = "full view" if mode.view_px == widest else f"{mode.view_px / widest:.0%} of the view"
            yield f"    {mode}  {mode.bit_depth} bits, up to {mode.fps:.4g} frames a second, {view}"
    yield "  controls (some ranges depend on size, rate and mode):"
    for name, control in sorted(camera.controls.items()):
        if name not in INSTEAD:
            yield f"    {name}: {control.range}"
