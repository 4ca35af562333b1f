# SPDX-License-Identifier: MIT
"""Picamera2 imports this module for its preview on a screen, which is never used here."""


class _AnyFormat:
    def __getattr__(self, name: str) -> str:
        return name


PixelFormat = _AnyFormat()
