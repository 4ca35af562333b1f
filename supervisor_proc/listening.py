# SPDX-License-Identifier: MIT
"""Where the service listens, and the URLs at which it is reached."""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import socket
import struct

from supervisor_proc.errors import ServiceError
from supervisor_proc.options import Address

_BACKLOG = 1024
_SIOCGIFADDR = 0x8915  # netdevice(7)


class ListenError(ServiceError, OSError):
    """The address cannot be listened on."""


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
