# SPDX-License-Identifier: MIT
"""How benchmarks say what they found: on which machine, and where in the documentation."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "benchmarks.md"


def machine() -> str:
    """Return in a sentence where and when this was measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    model = next(models, "model unknown")
    python = ".".join(map(str, sys.version_info[:3]))
    cores = len(os.sched_getaffinity(0))
    return (
        f"{time.strftime('%Y-%m-%d')}, {cores} cores of {platform.machine()} ({model}), Linux "
        f"{platform.release().split('-')[0]}, CPython {python}"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def rewrite(part: str, text: str, page: Path = PAGE) -> None:
    """Put `text` between the marks of `part` in a page of the documentation."""
    begin, end = f"<!-- {part} begins: written by its command -->", f"<!-- {part} ends -->"
    before, found, rest = page.read_text().partition(begin)
    if not found:
        sys.exit(f"{page} has no place for this; expected the line {begin}")
    page.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{rest.partition(end)[2]}")
