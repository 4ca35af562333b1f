# SPDX-License-Identifier: MIT
"""How every Ringcast process begins: its options, its log, its tie to the supervisor.

Standard library only. What a process does after that lives in its own package.
"""
