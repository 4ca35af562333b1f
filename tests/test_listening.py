# SPDX-License-Identifier: MIT
from __future__ import annotations

import logging
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from supervisor_proc.listening import ListenError, listen, remove_files_of, urls
from supervisor_proc.options import Address, TcpAddress, UnixAddress

NOT_HERE = "192.0.2.1"
"""For documentation alone (RFC 5737)."""
NOT_HERE_6 = "2001:db8::1"
"""Likewise (RFC 3849)."""


@contextmanager
def one_at(address: Address) -> Iterator[socket.socket]:
    (one,) = listen([address])
    with one:
        yield one


def test_a_port_that_is_taken_is_told_with_the_cure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ListenError,
            match=f"port {port} is held by another program; stop it or choose .* as 127.0.0.1:{port + 1}",
        ):
            listen([TcpAddress("127.0.0.1", port)])
        with pytest.raises(ListenError, match=f"such as :{port + 1}"):
            listen([TcpAddress("", port)])


def test_two_that_overlap_are_told_of_each_other(tmp_path: Path) -> None:
    with one_at(TcpAddress("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    with pytest.raises(ListenError, match=f"another --listen both have port {port}; .* :{port} listens on"):
        listen([TcpAddress("127.0.0.1", port), UnixAddress(tmp_path / "http"), TcpAddress("", port)])
    assert not list(tmp_path.iterdir()), "nothing is left of one that did work"


@pytest.mark.parametrize("host", [NOT_HERE, NOT_HERE_6])
def test_an_address_that_may_come_up_later_is_listened_on(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Wi-Fi is later than services are, and nobody is there to start them again."""
    with caplog.at_level(logging.WARNING), one_at(TcpAddress(host, 0)) as listening:
        assert listening.getsockname()[0] == host
    (told,) = caplog.messages
    assert told.startswith(f"this machine does not have the address {host} yet; ")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::", "0.0.0.0", "", "localhost"])
def test_an_address_that_is_here_is_listened_on_without_a_word(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    with one_at(TcpAddress(host, 0)):
        assert not caplog.messages


@pytest.mark.parametrize("host", ["é..b", "a" * 70 + ".b"])
def test_a_host_that_is_none_is_told(host: str) -> None:
    with pytest.raises(ListenError, match="is no host name; choose another for --listen"):
        listen([TcpAddress(host, 0)])


def test_a_name_that_nobody_knows_is_told() -> None:
    with pytest.raises(ListenError, match=r"'no-such-host\.invalid' cannot be looked up: "):
        listen([TcpAddress("no-such-host.invalid", 0)])


@pytest.mark.parametrize("host", ["", "::"])
def test_all_addresses_are_those_of_both_families(host: str) -> None:
    with one_at(TcpAddress(host, 0)) as both:
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, both.getsockname()[1]), timeout=10).close()


def test_all_addresses_of_ipv4_are_of_ipv4_alone() -> None:
    with one_at(TcpAddress("0.0.0.0", 0)) as four:
        port = four.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("::1", port), timeout=10)


def test_urls_are_those_at_which_it_is_reached(tmp_path: Path) -> None:
    with one_at(TcpAddress("127.0.0.1", 0)) as one:
        assert urls(one) == [f"http://127.0.0.1:{one.getsockname()[1]}"]
    with one_at(TcpAddress("::1", 0)) as six:
        assert urls(six) == [f"http://[::1]:{six.getsockname()[1]}"]
    with one_at(UnixAddress(tmp_path / "http")) as by_path:
        assert urls(by_path) == [f"unix:{tmp_path}/http"]
    for host in ("0.0.0.0", ""):
        with one_at(TcpAddress(host, 0)) as every:
            told, port = urls(every), every.getsockname()[1]
            assert told[0] == f"http://127.0.0.1:{port}"
            assert told[-1] == f"http://{socket.gethostname()}.local:{port}"
            assert len(told) <= 6
            assert not [url for url in told if "[fe80" in url], "they mean nothing without an interface"


def test_a_unix_socket_is_for_its_user_and_group(tmp_path: Path) -> None:
    file = tmp_path / "http"
    with one_at(UnixAddress(file)) as listening:
        assert stat.filemode(file.lstat().st_mode) == "srw-rw----"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(file))
        remove_files_of([listening])
        assert not file.exists()


def test_the_unix_socket_that_a_killed_service_left_is_replaced(tmp_path: Path) -> None:
    address = UnixAddress(tmp_path / "http")
    with one_at(address):
        pass
    assert address.path.is_socket(), "nobody removed it"
    with one_at(address), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(address.path))


@pytest.mark.parametrize("waiting", [0, 2])
def test_a_unix_socket_at_which_somebody_answers_is_left_alone(tmp_path: Path, waiting: int) -> None:
    """Even one that is too busy to answer at once."""
    file = tmp_path / "http"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(file))
        other.listen(0)
        clients = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) for _ in range(2)]
        for client in clients[:waiting]:
            client.connect_ex(str(file))
        with pytest.raises(ListenError, match=f"{file} is held by another program; stop it, or choose"):
            listen([UnixAddress(file)])
        assert file.is_socket()
        for client in clients:
            client.close()


def test_why_there_can_be_no_unix_socket_is_told_with_the_cure(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a person's")
    long = tmp_path / ("x" * 108)
    for path, sentence in (
        (file, f"{file} is there and is no socket; remove it, or choose another for --listen"),
        (long, f"may have 107 bytes, and {long} has {len(str(long))}; choose a shorter one for --listen"),
        (tmp_path / "no/http", f"cannot make {tmp_path}/no/http: No such file .*; make the folder .*/no, or"),
        (file / "http", f"cannot make {file}/http: Not a directory; choose another for --listen"),
    ):
        with pytest.raises(ListenError, match=sentence):
            listen([UnixAddress(path)])
    assert file.read_text() == "a person's"
