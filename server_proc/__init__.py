# SPDX-License-Identifier: MIT
"""The server process: the newest frame of the ring, to every viewer, over HTTP."""
