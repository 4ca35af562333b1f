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
    """The fault that was ordered by a file and SIGUSR2."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._worker_stands_still = False

    def begin(self) -> None:
        """Begin with the fault. It is a signal handler, which Python runs in the main loop's thread."""
        fault = ordered_drill(self._file)
        if fault == SERVER_LOOP:
            _log.warning("drill: the main loop stands still, and frames keep flowing")
            _stand_still()
        elif fault == SERVER_WORKER:
            _log.warning("drill: the thread that answers requests hangs on the next one")
            self._worker_stands_still = True

    def around(self, application: WSGIApplication) -> WSGIApplication:
        """Return an application that answers as `application` does, until the drill."""

        def with_drill(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            if self._worker_stands_still:
                _stand_still()
            return application(environ, start_response)

        return with_drill


def _stand_still() -> None:
    while True:
        time.sleep(3600)
