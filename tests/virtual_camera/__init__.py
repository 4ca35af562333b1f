# SPDX-License-Identifier: MIT
"""The real Picamera2, run for real on libcamera's virtual camera; see README.md here."""
