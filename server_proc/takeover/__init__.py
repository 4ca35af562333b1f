# SPDX-License-Identifier: MIT
"""The take-over: Waitress accepts, parses and answers; a stream's socket goes to the fan-out.

All that knows Waitress's inside is here; `tests/test_takeover.py` fails when that inside changes. Written
against waitress 3.0.2.
"""
