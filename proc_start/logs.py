# SPDX-License-Identifier: MIT
"""The log of a process: lines on stderr, each with its time and who says it."""

from __future__ import annotations

import logging


def start_logging(process: str) -> None:
    """Log from INFO on to stderr in the name of `process`."""
    logging.basicConfig(
        level=logging.INFO,
        format=f"%(asctime)s {process:<10} %(levelname)-7s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
    )
