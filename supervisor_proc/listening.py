# SPDX-License-Identifier: MIT
"""Where the service listens, and the URLs at which it is reached."""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import ipaddress
import logging
import os
import socket
import stat
import struct
from collections.abc import Sequence
from pathlib import Path

from supervisor_proc.errors import ServiceError
from supervisor_proc.options import Address, TcpAddress, UnixAddress

_log = logging.getLogger(__name__)

_BACKLOG = 1024
_FREEBIND = {
    socket.AF_INET: (socket.IPPROTO_IP, 15),  # ip(7), IP_FREEBIND
    socket.AF_INET6: (socket.IPPROTO_IPV6, 78),  # linux/in6.h, IPV6_FREEBIND; Linux 4.15 and newer
}
_MOST_PATH_BYTES = 107
"""Of a Unix socket; unix(7) has 108 with the zero at the end."""
_UNIX_MODE = 0o660
"""Who may write to a Unix socket may connect to it: the service's user and its group, which a proxy joins."""
_SIOCGIFADDR = 0x8915  # netdevice(7)
_IF_INET6 = Path("/proc/net/if_inet6")
"""A line: address, index, prefix length, scope and flags in hexadecimal, and name (proc(5), if_addr.h)."""
_SCOPE_LINK = "20"
_PASSING_OR_NOT_READY = 0x01 | 0x08 | 0x20 | 0x40  # IFA_F_TEMPORARY, _DADFAILED, _DEPRECATED, _TENTATIVE
_MOST_OF_A_FAMILY = 2
"""Own addresses that are named; a machine with containers has dozens."""

_IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class ListenError(ServiceError, OSError):
    """The address cannot be listened on."""


def listen(addresses: Sequence[Address]) -> list[socket.socket]:
    """Return a socket for each address, which listens. They outlive every server process.

    Raises:
        ListenError: one of them cannot.
    """
    opened: list[socket.socket] = []
    try:
        for address in addresses:
            if isinstance(address, UnixAddress):
                opened.append(_listen_at(address.path))
            else:
                opened.append(_listen_on(address, _ports(opened)))
    except ListenError:
        remove_files_of(opened)
        raise
    return opened


def remove_files_of(listening: Sequence[socket.socket]) -> None:
    """Remove the files of Unix sockets. Those that a killed service leaves are replaced by the next one."""
    for one in listening:
        if one.family == socket.AF_UNIX:
            with contextlib.suppress(OSError):
                Path(one.getsockname()).unlink()


def _ports(listening: Sequence[socket.socket]) -> set[int]:
    return {one.getsockname()[1] for one in listening if one.family != socket.AF_UNIX}


def _listen_on(address: TcpAddress, own_ports: set[int]) -> socket.socket:
    host, port = address.host, address.port
    try:
        return _bound(address)
    except UnicodeError as error:
        raise ListenError(f"{host!r} is no host name; choose another for --listen") from error
    except socket.gaierror as error:
        raise ListenError(
            f"{host!r} cannot be looked up: {error.strerror}; choose an address for --listen"
        ) from error
    except OSError as error:
        whys = {
            errno.EADDRINUSE: f"port {port} is held by another program; stop it or choose --listen "
            f"with another port, such as {TcpAddress(host, port + 1)}",
            errno.EACCES: f"port {port} needs root; choose --listen with a port from 1024 on",
            errno.EAFNOSUPPORT: f"this kernel has no IPv6, which --listen {address} needs; choose another",
        }
        if port in own_ports:
            whys[errno.EADDRINUSE] = (
                f"--listen {address} and another --listen both have port {port}; leave one of them out: "
                f":{port} listens on all addresses, of IPv4 and IPv6"
            )
        otherwise = f"{host!r} is not an address of this machine; choose another for --listen"
        raise ListenError(whys.get(error.errno or 0, otherwise)) from error


def _bound(address: TcpAddress) -> socket.socket:
    """Return a listening socket; a name is listened on at its first address, of IPv4 where it has one."""
    if not address.host:
        try:
            return _bound(TcpAddress("::", address.port))
        except OSError as error:
            if error.errno != errno.EAFNOSUPPORT:  # the kernel was started with ipv6.disable=1
                raise
            return _bound(TcpAddress("0.0.0.0", address.port))  # noqa: S104  it was asked for
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    family, *_, where = min(found, key=lambda it: it[0] != socket.AF_INET)
    listening = socket.socket(family, socket.SOCK_STREAM)
    with contextlib.ExitStack() as failing:
        failing.callback(listening.close)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address.host != "::")
        if _is_literal(address.host):
            # what comes up later, as Wi-Fi does, is served then without a hand
            listening.setsockopt(*_FREEBIND[family], 1)
            _warn_if_not_here(family, address.host)
        listening.bind(where)
        listening.listen(_BACKLOG)
        failing.pop_all()
    return listening


def _is_literal(host: str) -> bool:
    """Tell whether a host is an address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _warn_if_not_here(family: int, host: str) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                _log.warning(
                    "this machine does not have the address %s yet; viewers are served as soon as it does. "
                    "Correct --listen if it never will",
                    host,
                )


def _listen_at(path: Path) -> socket.socket:
    length = len(os.fsencode(path))
    if length > _MOST_PATH_BYTES:
        raise ListenError(
            f"the path of a Unix socket may have {_MOST_PATH_BYTES} bytes, and {path} has {length}; "
            "choose a shorter one for --listen"
        )
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        listening.bind(str(path))
        path.chmod(_UNIX_MODE)  # before listen(), so that nobody else gets in meanwhile
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        if isinstance(error, ListenError):
            raise
        cures = {
            errno.ENOENT: f"make the folder {path.parent}, or choose",
            errno.EACCES: f"let this user write to {path.parent}, or choose",
        }
        cure = cures.get(error.errno or 0, "choose")
        raise ListenError(f"cannot make {path}: {error.strerror}; {cure} another for --listen") from error
    return listening


def _remove_stale(path: Path) -> None:
    """Remove the socket that a killed service left at `path`: nobody answers there.

    Raises:
        ListenError: it is something else.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"{path} is there and is no socket; remove it, or choose another for --listen")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:  # somebody listens, whose backlog is full
            pass
    raise ListenError(f"{path} is held by another program; stop it, or choose another for --listen")


def urls(listening: socket.socket) -> list[str]:
    """Return the base URLs at which the service is reached, this machine's own first; unix:PATH has none."""
    if listening.family == socket.AF_UNIX:
        name = listening.getsockname()
        return [f"unix:{name if isinstance(name, str) else '@' + name[1:].decode(errors='replace')}"]
    host, port = listening.getsockname()[:2]
    if host not in ("0.0.0.0", "::"):  # noqa: S104  compared, not bound
        return [f"http://{_in_url(host)}:{port}"]
    only_ipv6 = host == "::" and listening.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    families = ([] if only_ipv6 else [_own_ipv4()]) + ([_own_ipv6()] if host == "::" else [])
    here = [address for family in families for address in family if address.is_loopback][:1]
    for family in families:
        here += [address for address in family if not address.is_loopback][:_MOST_OF_A_FAMILY]
    return [f"http://{name}:{port}" for name in (*map(_in_url, here), f"{socket.gethostname()}.local")]


def _in_url(address: object) -> str:
    return f"[{address}]" if ":" in str(address) else str(address)


def _own_ipv4() -> list[_IpAddress]:
    """Return the IPv4 addresses of this machine's interfaces."""
    found: list[_IpAddress] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = array.array("B", struct.pack("256s", name.encode()[:15]))
            with contextlib.suppress(OSError):  # an interface without an address
                fcntl.ioctl(probe, _SIOCGIFADDR, request)
                found.append(ipaddress.IPv4Address(request.tobytes()[20:24]))
    return found


def _own_ipv6() -> list[_IpAddress]:
    """Return the IPv6 addresses of this machine's interfaces that last, and need no interface beside them."""
    try:
        lines = _IF_INET6.read_text().splitlines()
    except OSError:
        return []
    found: list[_IpAddress] = []
    for address, _, _, scope, flags, _ in map(str.split, lines):
        if scope != _SCOPE_LINK and not int(flags, 16) & _PASSING_OR_NOT_READY:
            found.append(ipaddress.IPv6Address(bytes.fromhex(address)))
    return found
