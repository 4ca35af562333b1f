# SPDX-License-Identifier: MIT
from __future__ import annotations

import socket

import pytest

from supervisor_proc.listening import ListenError, listen, urls
from supervisor_proc.options import Address


def test_a_port_that_is_taken_is_told_with_the_cure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ListenError,
            match=f"port {port} is held by another program; stop it or choose",
        ):
            listen(Address("127.0.0.1", port))


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(ListenError, match="is not an address of this machine; choose another for --listen"):
        listen(Address("192.0.2.1", 0))


@pytest.mark.parametrize("host", ["é..b", "a" * 70 + ".b"])
def test_a_host_that_is_none_is_told(host: str) -> None:
    with pytest.raises(ListenError, match="choose another for --listen"):
        listen(Address(host, 0))


def test_urls_are_those_at_which_it_is_reached() -> None:
    with listen(Address("127.0.0.1", 0)) as one:
        assert urls(one) == [f"http://127.0.0.1:{one.getsockname()[1]}"]
    with listen(Address("::1", 0)) as six:
        assert urls(six) == [f"http://[::1]:{six.getsockname()[1]}"]
    with listen(Address("0.0.0.0", 0)) as every:
        told, port = urls(every), every.getsockname()[1]
        assert told[0] == f"http://127.0.0.1:{port}"
        assert told[-1] == f"http://{socket.gethostname()}.local:{port}"
