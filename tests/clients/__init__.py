# SPDX-License-Identifier: MIT
"""Real clients, each from its own package, watch a camera whose pictures tell their number."""
