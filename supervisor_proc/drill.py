# SPDX-License-Identifier: MIT
"""`python -m supervisor_proc.drill FAULT`: a fault on purpose, on a service that runs. See docs/drills.md."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from proc_start.drills import FAULTS, drill_file, order_drill
from supervisor_proc.errors import ServiceError
from supervisor_proc.instance import pid_of_instance, runtime_directory


def main() -> int:
    """Order the fault; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m supervisor_proc.drill",
        usage="%(prog)s FAULT [--instance NAME]",
        description="Make a fault on purpose on a service that runs; see docs/drills.md.",
    )
    parser.add_argument("fault", choices=FAULTS, metavar="FAULT", help=", ".join(FAULTS))
    parser.add_argument("--instance", default="main", help="the service's, as its option of that name says")
    asked = parser.parse_args()
    try:
        pid = pid_of_instance(asked.instance)
        if pid is None:
            print(
                f"no service runs as instance {asked.instance!r} of this user; start it, be its user, "
                "or name another --instance",
                file=sys.stderr,
            )
            return os.EX_UNAVAILABLE
        order_drill(drill_file(runtime_directory(), asked.instance), asked.fault)
        os.kill(pid, signal.SIGUSR2)
    except (ServiceError, OSError) as error:
        print(f"the drill cannot be ordered: {error}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    print(f"drill: {asked.fault} is ordered; the log of the service tells of it")
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
