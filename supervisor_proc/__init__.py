# SPDX-License-Identifier: MIT
"""What supervisor.py is made of."""
