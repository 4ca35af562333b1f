# SPDX-License-Identifier: MIT
"""The web side: Falcon routes a request and decides. It waits for nothing and touches no ring."""
