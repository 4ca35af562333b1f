# SPDX-License-Identifier: MIT
"""What keeps the service from starting. Each part of it has its own kind, where it is raised."""

from __future__ import annotations


class ServiceError(Exception):
    """The service cannot start; the message is for the person who starts it."""
