import socket

import pytest


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 80), ("example.org", 80)])
def test_a_test_cannot_leave_loopback(address):
    with pytest.raises(RuntimeError, match="leave loopback"), socket.create_connection(address, timeout=0.1):
        pass


def test_a_test_cannot_listen_on_all_interfaces():
    with socket.socket() as server, pytest.raises(RuntimeError, match="leave loopback"):
        server.bind(("", 0))


def test_loopback_is_free():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()
