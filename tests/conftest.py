# SPDX-License-Identifier: MIT
from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from shm_ring.layout import Geometry
from shm_ring.segment import create_segment

_names = itertools.count()


@pytest.fixture
def new_segment() -> Iterator[Callable[..., int]]:
    """Make segments whose descriptors are closed when the test ends."""
    made: list[int] = []

    def make(slot_count: int = 4, slot_bytes: int = 4096) -> int:
        name = f"ringcast-test-{os.getpid()}-{next(_names)}"
        made.append(create_segment(name, Geometry(slot_count, slot_bytes)))
        return made[-1]

    yield make
    for descriptor in made:
        os.close(descriptor)
