# SPDX-License-Identifier: MIT
"""Faults on purpose in the server process, so that anyone can rehearse them. See docs/drills.md."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from proc_start.drills import SERVER_LOOP, SERVER_WORKER, ordered_drill

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_log = logging.getLogger(__name__)


class Drill:
    """The fault that a file names and SIGUSR2 begins."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._worker_hangs = False

    def begin(self) -> None:
        """Begin the fault. This is a signal handler, which Python runs in the main loop's thread."""
        fault = ordered_drill(self._file)
        if fault == SERVER_LOOP:
            _log.warning("drill: the main loop hangs; frames keep flowing")
            _hang()
        elif fault == SERVER_WORKER:
            _log.warning("drill: the thread that answers requests will hang on the next request")
            self._worker_hangs = True

    def around(self, application: WSGIApplication) -> WSGIApplication:
        """Return an application that answers as `application` does until the drill begins."""

        def with_drill(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            if self._worker_hangs:
                _hang()
            return application(environ, start_response)

        return with_drill


def _hang() -> None:
    while True:
        time.sleep(3600)
