# SPDX-License-Identifier: MIT
"""State that crosses a process boundary: a ring in shared memory with one writer.

Standard library only. The ring does not know what it carries: `frame.py` says what a frame's facts
are, `board.py` carries one process's status as JSON.
"""
