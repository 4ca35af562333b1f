# SPDX-License-Identifier: MIT
"""An instance of the service: its lock, and the folder in which locks are."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
from pathlib import Path

from supervisor_proc.errors import ServiceError

_FLOCK = struct.Struct("hhqqi4x")
"""struct flock of fcntl(2)."""


class AlreadyRunningError(ServiceError, BlockingIOError):
    """The instance is running."""


def lock_instance(instance: str) -> int:
    """Take the instance's lock and return its descriptor: keep it until the process ends.

    The file is never unlinked: whoever waits for it would hold a lock on a file that is gone.

    Raises:
        AlreadyRunningError: another process has it.
        ServiceError: the lock file cannot be used.
    """
    path = _lock_file(instance)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        cure = "make room on its disk" if full else "remove it, or make its folder"
        raise ServiceError(f"cannot open the lock {path}: {error.strerror}; {cure}") from error
    while not _try_lock(descriptor):
        holder = _holder(descriptor)
        if holder is not None:
            who = f"as pid {holder}; stop that one (kill {holder})"
            raise AlreadyRunningError(
                f"instance {instance!r} is running already, "
                f"{who if holder else 'in another container; stop that one'}, "
                "or choose another --instance and --listen for this one"
            )
    _keep_from_being_cleaned(path.parent)
    return descriptor


def _keep_from_being_cleaned(folder: Path) -> None:
    """Hold a shared BSD lock on the folder until the process ends.

    Debian 13 removes from /tmp what is older than ten days, and with the lock file a second start would take
    a new one. systemd-tmpfiles passes over a folder that is locked so, and all below it (tmpfiles.d(5)).
    """
    with contextlib.suppress(OSError):  # a file system without locks; the folder is then cleaned as any other
        fcntl.flock(
            os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), fcntl.LOCK_SH | fcntl.LOCK_NB
        )


def pid_of_instance(instance: str) -> int | None:
    """Return the pid of the supervisor that holds an instance's lock, None where nobody does."""
    try:
        with _lock_file(instance).open("rb") as lock:
            return _holder(lock.fileno()) or None
    except FileNotFoundError:
        return None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _holder(descriptor: int) -> int | None:
    """Return the pid that holds the lock, None where nobody does; 0 is one of another pid namespace.

    The kernel knows it from the first moment on, and needs no room on a disk for it.
    """
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else int(pid)


def _lock_file(instance: str) -> Path:
    return runtime_directory() / f"ringcast-{instance}.lock"


def runtime_directory() -> Path:
    """Return where locks live: for one user always the same, whatever session a start comes from."""
    by_systemd = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if by_systemd:
        return Path(by_systemd)
    if os.getuid() == 0:
        return Path("/run")
    # not tempfile.gettempdir(), which looks for another place while the disk is full
    own = Path(os.environ.get("TMPDIR") or "/tmp") / f"ringcast-{os.getuid()}"  # noqa: S108  it is looked at
    try:
        with contextlib.suppress(FileExistsError):
            own.mkdir(mode=0o700)
    except OSError as error:
        raise ServiceError(
            f"cannot make {own}: {error.strerror}; make room on its disk, or name another folder in TMPDIR"
        ) from error
    status = own.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise ServiceError(f"{own} is not a directory of this user; remove it")
    return own
