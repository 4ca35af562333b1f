# SPDX-License-Identifier: MIT
"""The capture process: camera → JPEG → ring, on the camera's own clock. It never waits for a reader."""
