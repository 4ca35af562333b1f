# SPDX-License-Identifier: MIT
"""OpenCV as most programs use it; each picture goes to stdout as BGR. For Debian's Python."""

from __future__ import annotations

import sys

import cv2

video = cv2.VideoCapture(sys.argv[1])
while True:
    there, picture = video.read()
    if not there:
        sys.exit("the stream ended")
    sys.stdout.buffer.write(picture.data)
