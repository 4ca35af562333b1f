# SPDX-License-Identifier: MIT
"""Cameras of a Raspberry Pi through Picamera2."""
