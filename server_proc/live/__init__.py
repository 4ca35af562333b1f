# SPDX-License-Identifier: MIT
"""The live picture: one thread serves all viewers. Neither Falcon nor Waitress is known here."""
