# SPDX-License-Identifier: MIT
"""What was typed as `--control NAME=VALUE` becomes values that the camera takes. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from capture_proc.camera import CameraChoiceError
from capture_proc.options import ControlOrder

_BY_OPTION = {"FrameDurationLimits": "--fps", "FrameRate": "--fps"}
"""Controls that are an option of their own."""
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
    """The least value, which also tells the type: bool, int, float, or a tuple for a rectangle."""
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
        if isinstance(self.least, bool):
            return "true or false"
        several = "" if self.count == 1 else " (separated by commas)"
        return f"{self.least} to {self.most}{several}"


def values_for(orders: Iterable[ControlOrder], controls: Mapping[str, Control]) -> dict[str, Any]:
    """Return the ordered values by their control's name, each checked against the camera's own range.

    Raises:
        CameraChoiceError: with all faults: an unknown control, a wrong value, one out of its range.
    """
    values, faults = {}, []
    for order in orders:
        try:
            values[order.name] = _value(order, controls)
        except CameraChoiceError as error:
            faults.append(str(error))
    if faults:
        raise CameraChoiceError("; ".join(faults))
    return values


def _value(order: ControlOrder, controls: Mapping[str, Control]) -> Any:
    if order.name in _BY_OPTION:
        raise CameraChoiceError(f"--control {order.name}: use {_BY_OPTION[order.name]} instead")
    control = controls.get(order.name)
    if control is None:
        near = difflib.get_close_matches(order.name, controls, n=1)
        raise CameraChoiceError(
            f"--control {order.name}: this camera has no such control; "
            + (f"did you mean {near[0]}?" if near else "--list-cameras lists what it has")
        )
    pieces = order.text.split(",")
    try:
        values = tuple(_piece(piece.strip(), control) for piece in pieces)
    except ValueError as error:
        raise CameraChoiceError(
            f"--control {order.name} expects {control.range}; {order.text!r} came"
        ) from error
    expected = len(control.least) if isinstance(control.least, tuple) else control.count
    if expected not in (None, len(values)):
        raise CameraChoiceError(
            f"--control {order.name} expects {expected} value{'s' * (expected != 1)} separated by commas; "
            f"{order.text!r} came"
        )
    if isinstance(control.least, tuple) and control.count != 1:
        return [values]  # a list of rectangles, of which one can be typed
    return values[0] if expected == 1 else values


def _piece(text: str, control: Control) -> Any:
    for name, value in control.names.items():
        if text.lower() == name.lower():
            return value
    if isinstance(control.least, bool):
        if text.lower() not in _TRUTH:
            raise ValueError(text)
        return _TRUTH[text.lower()]
    if isinstance(control.least, tuple):  # a rectangle, whose range is not that of each number
        return int(text)
    value = type(control.least)(text)
    allowed = value in control.names.values() if control.names else control.least <= value <= control.most
    if not allowed:
        raise ValueError(text)
    return value
