# SPDX-License-Identifier: MIT
"""The take-over: Waitress accepts, parses and answers; a stream's socket goes to the fan-out.

Everything that knows Waitress's internals is here; `tests/test_takeover.py` fails when they change. Written
against waitress 3.0.2.
"""
