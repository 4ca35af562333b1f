# SPDX-License-Identifier: MIT
"""What was typed as `--control NAME=VALUE` becomes values that the camera takes. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from capture_proc.camera import NeverWorksError
from capture_proc.options import ControlOrder

INSTEAD = {"FrameDurationLimits": "--fps", "FrameRate": "--fps", "ScalerCrops": "--control ScalerCrop"}
"""Controls that are chosen in another way."""
_CONTINUOUS = 2
"""AfModeContinuous of libcamera."""
_TRUTH = {
    "true": True,
    "on": True,
    "yes": True,
    "1": True,
    "false": False,
    "off": False,
    "no": False,
    "0": False,
}


@dataclass(frozen=True, slots=True)
class Control:
    """A control as the camera advertises it."""

    least: Any
    """The least value, which also tells the type: bool, int, float, or a tuple for a rectangle; None
    for a control that cannot be set."""
    most: Any
    names: Mapping[str, int] = field(default_factory=dict)
    """The values that have a name."""
    count: int | None = 1
    """How many values it takes; None where any number will do."""

    @property
    def range(self) -> str:
        """What may be given, in words."""
        if self.names:
            return " or ".join(f"{name} ({value})" for name, value in self.names.items())
        if self.least is None:
            return "nothing, for it cannot be set here"
        if isinstance(self.least, bool):
            return "true or false"
        if isinstance(self.least, tuple):
            return "x,y,width,height within {},{},{},{}".format(*self.most)
        several = "" if self.count == 1 else f"{self.count or 'any number of'} values separated by commas, "
        return f"{several}{self.least} to {self.most}"


def values_for(orders: Iterable[ControlOrder], controls: Mapping[str, Control]) -> dict[str, Any]:
    """Return the ordered values by their control's name, each checked against the camera's own range.

    Raises:
        NeverWorksError: with all faults: an unknown control, a wrong value, one out of its range, two
            that contradict each other.
    """
    values: dict[str, Any] = {}
    faults = []
    for order in orders:
        try:
            if order.name in values:
                raise NeverWorksError(f"--control {order.name} came twice; leave one out")
            values[order.name] = _value(order, controls)
        except NeverWorksError as error:
            faults.append(str(error))
    if "LensPosition" in values and values.get("AfMode") == _CONTINUOUS:
        faults.append("--control LensPosition sets the lens that AfMode=Continuous moves; leave one out")
    if faults:
        raise NeverWorksError("; ".join(faults))
    return values


def _value(order: ControlOrder, controls: Mapping[str, Control]) -> Any:
    if order.name in INSTEAD:
        raise NeverWorksError(f"--control {order.name}: use {INSTEAD[order.name]} instead")
    control = controls.get(order.name)
    if control is None:
        near = difflib.get_close_matches(order.name, controls, n=1)
        raise NeverWorksError(
            f"--control {order.name}: this camera has no such control; "
            + (f"did you mean {near[0]}?" if near else "--list-cameras lists what it has")
        )
    try:
        return _parsed(order.text.split(","), control)
    except ValueError as error:
        raise NeverWorksError(
            f"--control {order.name} expects {control.range}; {order.text!r} came"
        ) from error


def _parsed(pieces: Sequence[str], control: Control) -> Any:
    if control.least is None:
        raise ValueError(pieces)
    if isinstance(control.least, tuple):
        rectangle = _rectangle(pieces, control)
        return rectangle if control.count == 1 else [rectangle]  # of several, one can be typed
    if control.count not in (None, len(pieces)):
        raise ValueError(pieces)
    values = tuple(_piece(piece.strip(), control) for piece in pieces)
    return values[0] if len(values) == 1 and control.count in (None, 1) else values


def _rectangle(pieces: Sequence[str], control: Control) -> tuple[int, int, int, int]:
    x, y, width, height = (int(piece) for piece in pieces)
    most_x, most_y, most_width, most_height = control.most
    # of AfWindows the largest is no frame for the others: all of its numbers are the largest
    within = min(most_x, control.least[0]) <= x <= x + width <= most_x + most_width
    within = within and min(most_y, control.least[1]) <= y <= y + height <= most_y + most_height
    if not within or not width or not height:
        raise ValueError(pieces)
    return x, y, width, height


def _piece(text: str, control: Control) -> Any:
    for name, value in control.names.items():
        if text.lower() == name.lower():
            return value
    if isinstance(control.least, bool):
        if text.lower() not in _TRUTH:
            raise ValueError(text)
        return _TRUTH[text.lower()]
    value = type(control.least)(text)
    allowed = value in control.names.values() if control.names else control.least <= value <= control.most
    if not allowed:
        raise ValueError(text)
    return value
