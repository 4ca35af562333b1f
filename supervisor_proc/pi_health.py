# SPDX-License-Identifier: MIT
"""Whether a Raspberry Pi lacks voltage or is too hot: the usual reasons why a camera hangs."""

from __future__ import annotations

from pathlib import Path

_SYS = Path("/sys")
_SAMPLE_S = 1.0
_RECENT_S = 30.0
"""Trouble that ended longer ago explains no hang."""
_TOO_HOT_C = 80
"""From here on every Raspberry Pi throttles
(https://www.raspberrypi.com/documentation/computers/raspberry-pi.html#frequency-management-and-thermal-control)."""


class PiHealth:
    """Samples of voltage and heat, so that trouble shortly before a hang is known.

    Voltage is the alarm of the kernel's driver raspberrypi-hwmon: whether the firmware saw under-voltage in
    the last 2 s. The device's name is `rpi_volt`, its alarm `in0_lcrit_alarm`
    (drivers/hwmon/raspberrypi-hwmon.c). Heat is that of the thermal zone `cpu-thermal`
    (arch/arm/boot/dts/broadcom/bcm283x.dtsi), in thousandths of a degree Celsius. Another machine has
    neither. Never tried on a Raspberry Pi.
    """

    def __init__(self, sys: Path = _SYS) -> None:
        """`sys` is where sysfs is mounted."""
        self._sys = sys
        self._due_s = 0.0
        self._low_voltage_s: float | None = None
        self._hot: tuple[float, int] | None = None

    def sample(self, now_s: float) -> None:
        """Look, no more often than once a second."""
        if now_s < self._due_s:
            return
        self._due_s = now_s + _SAMPLE_S
        if _number(self._of_class("hwmon", "name", "rpi_volt", "in0_lcrit_alarm")):
            self._low_voltage_s = now_s
        celsius = _number(self._of_class("thermal", "type", "cpu-thermal", "temp")) // 1000
        if celsius >= _TOO_HOT_C:
            self._hot = now_s, celsius

    def trouble(self, now_s: float) -> str:
        """Return in words what was wrong lately, nothing where all was well or nobody knows."""
        found = []
        if self._low_voltage_s is not None and now_s - self._low_voltage_s <= _RECENT_S:
            found.append(f"under-voltage {_ago(now_s - self._low_voltage_s)}; check the power supply")
        if self._hot is not None and now_s - self._hot[0] <= _RECENT_S:
            found.append(f"{self._hot[1]} °C {_ago(now_s - self._hot[0])}; check the cooling")
        return "; ".join(found)

    def _of_class(self, kind: str, by: str, name: str, wanted: str) -> Path | None:
        """Return a file of the device of a class that has this name, None where there is no such device."""
        for device in sorted((self._sys / "class" / kind).glob("*")):
            if _text(device / by) == name:
                return device / wanted
        return None


def _ago(seconds: float) -> str:
    return f"{seconds:.0f} s before" if seconds >= 0.5 else "just now"


def _number(file: Path | None) -> int:
    text = _text(file) if file else ""
    return int(text) if text.lstrip("-").isdecimal() else 0


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
