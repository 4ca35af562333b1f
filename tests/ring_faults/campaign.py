# SPDX-License-Identifier: MIT
"""How long the campaigns are, and what they find: said in a line each, for docs/ring.md quotes them."""

from __future__ import annotations

import os
import random
import secrets

LONG = os.environ.get("RING_CAMPAIGN") == "long"
SEED = int(os.environ.get("RING_SEED", secrets.randbits(32) if LONG else 0))
"""What all chance follows from: always the same in the suite, another one in each campaign."""


def rounds(short: int, long: int) -> int:
    """Return how often something is done: `make ring-campaign` is long."""
    return long if LONG else short


def tell(sentence: str) -> None:
    """Print what was measured."""
    print(f"\n  {sentence}", flush=True)


def chance(name: str) -> random.Random:
    """Return a test's own source of chance; in a campaign its seed is printed."""
    if LONG:
        tell(f"{name}: RING_SEED={SEED} repeats this")
    return random.Random(f"{SEED} {name}")
