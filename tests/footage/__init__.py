# SPDX-License-Identifier: MIT
"""Real footage: the first 60 frames of OpenCV's sample video `samples/data/vtest.avi`, not re-encoded.

People walk across a square; every frame differs from every other.
"""

from __future__ import annotations

from pathlib import Path

PEDESTRIANS = Path(__file__).parent / "pedestrians.avi"
PEDESTRIANS_FRAMES = 60
PEDESTRIANS_FPS = 10
PEDESTRIANS_SIZE = (768, 576)
