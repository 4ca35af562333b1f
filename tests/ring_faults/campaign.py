# SPDX-License-Identifier: MIT
"""How long the campaigns are, and what they find: said in a line each, for docs/ring.md quotes them."""

from __future__ import annotations

import os

LONG = os.environ.get("RING_CAMPAIGN") == "long"


def rounds(short: int, long: int) -> int:
    """Return how often something is done: `make ring-campaign` is long."""
    return long if LONG else short


def tell(sentence: str) -> None:
    """Print what was measured."""
    print(f"\n  {sentence}", flush=True)
