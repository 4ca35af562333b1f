# SPDX-License-Identifier: MIT
"""What a placeholder says, read by a program that reads text in pictures (Tesseract)."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from PIL import Image

from capture_proc.camera import Plane


def read_in(picture: Plane, folder: Path) -> str:
    """Return the letters and digits that are read on the band of a picture."""
    height, width = picture.shape[:2]
    band = 255 - picture[height // 5 : height * 4 // 5]
    is_band = (band[:, :8] > 250).all(axis=(1, 2))
    image = Image.fromarray(band[is_band]).convert("L")
    scale = 1600 / width  # it wants letters of some 40 pixels
    image = image.resize((round(width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    image.save(folder / "band.png")
    told = subprocess.run(
        ["tesseract", folder / "band.png", "-", "--psm", "6"], capture_output=True, text=True, check=True
    )
    return letters(told.stdout)


def letters(text: str) -> str:
    """Return the letters and digits of a text."""
    return "".join(re.findall(r"\w", text))
