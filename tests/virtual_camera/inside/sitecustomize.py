# SPDX-License-Identifier: MIT
"""Python imports this at its start, where this folder is on its path.

Picamera2's allocator needs /dev/dma_heap. Its module, and it alone, is found here instead; what the
virtual camera lacks comes with it. The class Picamera2 is untouched.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType


class _Redirect(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "picamera2.allocators.dmaallocator":
            return None
        return importlib.util.spec_from_file_location(
            fullname, Path(__file__).with_name("memfd_allocator.py")
        )


sys.meta_path.insert(0, _Redirect())
