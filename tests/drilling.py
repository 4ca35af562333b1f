# SPDX-License-Identifier: MIT
"""Faults on purpose, ordered as a person would."""

from __future__ import annotations

import subprocess
import sys

from tests.running import CHECKOUT, Ringcast, environment


def drill(service_or_instance: Ringcast | str, fault: str) -> subprocess.CompletedProcess[str]:
    """Order a fault by the documented command."""
    instance = service_or_instance if isinstance(service_or_instance, str) else service_or_instance.instance
    return subprocess.run(
        [sys.executable, "-m", "supervisor_proc.drill", fault, f"--instance={instance}"],
        cwd=CHECKOUT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
