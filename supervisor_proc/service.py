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
from dataclasses import dataclass
from pathlib import Path

from shm_ring.board import BOARD_GEOMETRY
from shm_ring.doorbell import Doorbell
from shm_ring.layout import Geometry
from shm_ring.segment import create_segment, open_for_reading, sweep_segments
from supervisor_proc.options import Address

SLOT_COUNT = 4
"""The newest, the one being written, and one for each of the two readers."""
LEAST_SLOT_BYTES = 256 * 1024
_BACKLOG = 1024
_FLOCK = struct.Struct("hhqqi4x")
"""struct flock of fcntl(2)."""
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
    return descriptor


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
    except (UnicodeError, TypeError) as error:
        raise ListenError(f"{host!r} is no host name; choose another for --listen") from error
    except OSError as error:
        whys = {
            errno.EADDRINUSE: f"port {port} is held by another program; stop it or choose --listen "
            f"with another port, such as {host}:{port + 1}",
            errno.EACCES: f"port {port} needs root; choose --listen with a port from 1024 on",
        }
        otherwise = f"{host!r} is not an address of this machine; choose another for --listen"
        raise ListenError(whys.get(error.errno or 0, otherwise)) from error


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
class Service:
    """What outlives every child."""

    listening: socket.socket
    memory: SharedMemory
    drill_file: Path


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """Descriptors of all rings, and the doorbell that says that a frame came."""

    frames_fd: int
    capture_board_fd: int
    server_board_fd: int
    supervisor_board_fd: int
    doorbell: Doorbell
    frames_to_read_fd: int
    capture_board_to_read_fd: int
    supervisor_board_to_read_fd: int

    def for_capture(self) -> dict[str, int]:
        """Return what the capture process inherits, by the options that tell it so."""
        return {
            "--frames-fd": self.frames_fd,
            "--doorbell-fd": self.doorbell.fileno(),
            "--board-fd": self.capture_board_fd,
        }

    def for_server(self) -> dict[str, int]:
        """Return what the server process inherits, by the options that tell it so.

        It is the process that the network reaches, so it can write into its own board only.
        """
        return {
            "--frames-fd": self.frames_to_read_fd,
            "--doorbell-fd": self.doorbell.fileno(),
            "--capture-board-fd": self.capture_board_to_read_fd,
            "--supervisor-board-fd": self.supervisor_board_to_read_fd,
            "--server-board-fd": self.server_board_fd,
        }


def create_shared_memory(instance: str, slot_bytes: int) -> SharedMemory:
    """Make all rings of an instance whose lock is held, after sweeping what a killed start left.

    `slot_bytes` is the room for a frame.

    Raises:
        SegmentError: /dev/shm has not the room.
    """
    prefix = f"ringcast-{instance}-"
    sweep_segments(prefix)
    frames_fd = create_segment(prefix + "frames", Geometry(SLOT_COUNT, slot_bytes))
    capture_board_fd = create_segment(prefix + "capture", BOARD_GEOMETRY)
    supervisor_board_fd = create_segment(prefix + "supervisor", BOARD_GEOMETRY)
    return SharedMemory(
        frames_fd=frames_fd,
        capture_board_fd=capture_board_fd,
        server_board_fd=create_segment(prefix + "server", BOARD_GEOMETRY),
        supervisor_board_fd=supervisor_board_fd,
        doorbell=Doorbell.create(),
        frames_to_read_fd=open_for_reading(frames_fd),
        capture_board_to_read_fd=open_for_reading(capture_board_fd),
        supervisor_board_to_read_fd=open_for_reading(supervisor_board_fd),
    )
