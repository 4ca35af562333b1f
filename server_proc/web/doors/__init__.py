# SPDX-License-Identifier: MIT
"""Doors: what every request passes before it is routed. One file per door."""
