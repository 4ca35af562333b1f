# SPDX-License-Identifier: MIT
"""Doors: what stands before routing, for every request and every answer alike. One file a door."""
