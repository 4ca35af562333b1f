# SPDX-License-Identifier: MIT
"""The server process: sends the newest frame of the ring to every viewer over HTTP."""
