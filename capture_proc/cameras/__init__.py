# SPDX-License-Identifier: MIT
"""The kinds of cameras. Each is imported when it was chosen, because what it needs may be missing."""
