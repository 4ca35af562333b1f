# SPDX-License-Identifier: MIT
"""Real footage: the first 60 frames of OpenCV's sample video `samples/data/vtest.avi`, not re-encoded.

People walk across a square; every frame differs from every other.
"""

from __future__ import annotations

import functools
from pathlib import Path

import av
import numpy as np

from capture_proc.camera import Plane

PEDESTRIANS = Path(__file__).parent / "pedestrians.avi"
PEDESTRIANS_FRAMES = 60
PEDESTRIANS_FPS = 10
PEDESTRIANS_SIZE = (768, 576)


@functools.cache
def _grey_frames() -> Plane:
    with av.open(str(PEDESTRIANS)) as container:
        return np.stack([frame.to_ndarray(format="gray8") for frame in container.decode(video=0)])


def which_frame(picture: Plane) -> int:
    """Return the index of the frame that a picture (height, width, 3) shows; fail if it shows none.

    It must be much nearer to that frame than to one that is half a second away.
    """
    width, height = PEDESTRIANS_SIZE
    assert picture.shape == (height, width, 3)
    grey = picture.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    differences = np.abs(_grey_frames() - grey).mean(axis=(1, 2))
    nearest = int(differences.argmin())
    far = differences[(nearest + 5) % PEDESTRIANS_FRAMES]
    assert differences[nearest] < 4, f"it shows no frame of the footage: {differences[nearest]:.1f} off"
    assert far > 1.3 * differences[nearest], "one frame is as near as the other"
    return nearest
