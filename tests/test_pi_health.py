# SPDX-License-Identifier: MIT
"""On a copy of the part of sysfs that counts, laid out as the kernel does on a Raspberry Pi 4."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor_proc.pi_health import PiHealth


class Pi:
    """Its sysfs, with the links and the neighbours that are there."""

    def __init__(self, folder: Path) -> None:
        self.sys = folder
        self._volt = folder / "devices/platform/soc/soc:firmware/raspberrypi-hwmon/hwmon/hwmon1"
        cpu = folder / "devices/virtual/thermal/thermal_zone0"
        heat = folder / "devices/virtual/thermal/thermal_zone0/hwmon0"
        for place in (self._volt, heat):
            place.mkdir(parents=True)
        (self._volt / "name").write_text("rpi_volt\n")
        (cpu / "type").write_text("cpu-thermal\n")
        (heat / "name").write_text("cpu_thermal\n")
        for kind in ("hwmon", "thermal"):
            (folder / "class" / kind).mkdir(parents=True)
        (folder / "class/hwmon/hwmon0").symlink_to("../../devices/virtual/thermal/thermal_zone0/hwmon0")
        (folder / "class/hwmon/hwmon1").symlink_to(
            "../../devices/platform/soc/soc:firmware/raspberrypi-hwmon/hwmon/hwmon1"
        )
        (folder / "class/thermal/thermal_zone0").symlink_to("../../devices/virtual/thermal/thermal_zone0")
        self._temp = cpu / "temp"
        self.has(alarm=0, celsius=52.3)

    def has(self, *, alarm: int, celsius: float) -> None:
        (self._volt / "in0_lcrit_alarm").write_text(f"{alarm}\n")
        self._temp.write_text(f"{celsius * 1000:.0f}\n")


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path)


def test_under_voltage_shortly_before_a_hang_is_known_after_it(pi: Pi) -> None:
    """A hang is noticed seconds after it began, when the voltage is normal again."""
    health = PiHealth(pi.sys)
    pi.has(alarm=1, celsius=52.3)
    health.sample(10.0)
    assert health.trouble(10.1) == "under-voltage just now; check the power supply"
    pi.has(alarm=0, celsius=52.3)
    health.sample(11.0)
    assert health.trouble(13.0) == "under-voltage 3 s before; check the power supply"
    assert health.trouble(41.0) == ""


def test_heat_is_reported_from_where_every_pi_throttles(pi: Pi) -> None:
    health = PiHealth(pi.sys)
    pi.has(alarm=0, celsius=79.9)
    health.sample(1.0)
    assert health.trouble(1.0) == ""
    pi.has(alarm=1, celsius=82.4)
    health.sample(2.0)
    assert health.trouble(4.0) == (
        "under-voltage 2 s before; check the power supply; 82 °C 2 s before; check the cooling"
    )


def test_it_looks_once_a_second(pi: Pi) -> None:
    health = PiHealth(pi.sys)
    health.sample(10.0)
    pi.has(alarm=1, celsius=20)
    health.sample(10.9)
    assert health.trouble(10.9) == ""
    health.sample(11.0)
    assert health.trouble(11.0) != ""


def test_other_machines_are_not_in_trouble(tmp_path: Path) -> None:
    """A laptop at 95 °C is well."""
    zone = tmp_path / "class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("x86_pkg_temp\n")
    (zone / "temp").write_text("95000\n")
    for sys in (tmp_path, tmp_path / "none"):
        health = PiHealth(sys)
        health.sample(0.0)
        assert health.trouble(0.0) == ""


def test_what_cannot_be_read_is_no_trouble(pi: Pi) -> None:
    """A driver that fails answers EIO; the supervisor must live on."""
    alarm = pi.sys / "class/hwmon/hwmon1/in0_lcrit_alarm"
    alarm.unlink()
    alarm.mkdir()
    (pi.sys / "class/thermal/thermal_zone0/temp").write_text("hot\n")
    health = PiHealth(pi.sys)
    health.sample(0.0)
    assert health.trouble(0.0) == ""
