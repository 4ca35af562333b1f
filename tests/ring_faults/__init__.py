# SPDX-License-Identifier: MIT
"""The ring under faults: writers and readers that are killed, stopped, stepped and lied to.

A short campaign runs with the suite; `make ring-campaign` runs the long one. See docs/ring.md.
"""
