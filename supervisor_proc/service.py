# SPDX-License-Identifier: MIT
"""What the service holds while it lives: the instance lock, the socket, the shared memory."""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

from shm_ring.board import BOARD_GEOMETRY
from shm_ring.doorbell import Doorbell
from shm_ring.layout import Geometry
from shm_ring.segment import create_segment, sweep_segments
from supervisor_proc.options import Address

SLOT_COUNT = 4
"""The newest, the one being written, and one for each of the two readers."""
LEAST_SLOT_BYTES = 256 * 1024
_BACKLOG = 1024
_SIOCGIFADDR = 0x8915  # netdevice(7)


class ServiceError(Exception):
    """The service cannot start; the message is for the person who starts it."""


class AlreadyRunningError(ServiceError, BlockingIOError):
    """The instance is running."""


class ListenError(ServiceError, OSError):
    """The address cannot be listened on."""


def lock_instance(instance: str) -> int:
    """Take the instance's lock and return its descriptor: keep it until the process ends.

    The file is never unlinked: whoever waits for it would hold a lock on a file that is gone.

    Raises:
        AlreadyRunningError: another process has it.
        ServiceError: the runtime directory is not ours.
    """
    path = _runtime_directory() / f"ringcast-{instance}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        holder = os.read(descriptor, 32).decode().strip() or "another process"
        raise AlreadyRunningError(
            f"instance {instance!r} is running already, as pid {holder}; stop that one "
            f"(kill {holder}), or choose another name with --instance"
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor


def _runtime_directory() -> Path:
    """Return where locks live: systemd's directory, the session's, or one of our own in /tmp."""
    for variable in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        directory = Path(os.environ.get(variable) or "/nonexistent")
        if os.access(directory, os.W_OK):
            return directory
    own = Path(tempfile.gettempdir()) / f"ringcast-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        own.mkdir(mode=0o700)
    status = own.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise ServiceError(f"{own} is not a directory of this user; remove it")
    return own


def listen(address: Address) -> socket.socket:
    """Return a socket that listens on `address`. It outlives every server process.

    Raises:
        ListenError: it cannot.
    """
    host, port = address.host, address.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server(
            (host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=host == "::"
        )
    except (OSError, OverflowError) as error:
        code = getattr(error, "errno", None)
        if code == errno.EADDRINUSE:
            why = f"port {port} is held by another program; stop it or choose --listen"
        elif code == errno.EACCES:
            why = f"port {port} needs root; choose --listen with a port from 1024 on"
        else:
            why = f"cannot listen on {host}:{port} ({error}); choose --listen with an address of this machine"
        raise ListenError(why) from error


def urls(listening: socket.socket) -> list[str]:
    """Return the base URLs at which the service is reached, this machine's own first."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104  compared, not bound
        hosts = ["127.0.0.1", *_own_addresses(), f"{socket.gethostname()}.local"]
    else:
        hosts = [f"[{host}]" if ":" in host else host]
    return [f"http://{name}:{port}" for name in hosts]


def _own_addresses() -> list[str]:
    """Return the IPv4 addresses of this machine's interfaces, loopback left out."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = array.array("B", struct.pack("256s", name.encode()[:15]))
            with contextlib.suppress(OSError):  # an interface without an address
                fcntl.ioctl(probe, _SIOCGIFADDR, request)
                found.append(socket.inet_ntoa(request.tobytes()[20:24]))
    return [address for address in found if not address.startswith("127.")]


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """Descriptors of all rings, and the doorbell that says that a frame came."""

    frames_fd: int
    capture_board_fd: int
    server_board_fd: int
    supervisor_board_fd: int
    doorbell: Doorbell


def create_shared_memory(instance: str, slot_bytes: int) -> SharedMemory:
    """Make all rings of an instance whose lock is held, after sweeping what a killed start left.

    Raises:
        SegmentError: /dev/shm has not the room.
    """
    prefix = f"ringcast-{instance}-"
    sweep_segments(prefix)
    return SharedMemory(
        frames_fd=create_segment(prefix + "frames", Geometry(SLOT_COUNT, slot_bytes)),
        capture_board_fd=create_segment(prefix + "capture", BOARD_GEOMETRY),
        server_board_fd=create_segment(prefix + "server", BOARD_GEOMETRY),
        supervisor_board_fd=create_segment(prefix + "supervisor", BOARD_GEOMETRY),
        doorbell=Doorbell.create(),
    )
