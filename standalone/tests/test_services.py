"""Where the front door listens, and under which address it is reached."""

import socket

import pytest
from vigie_standalone.embedded.ports import free_port, is_free
from vigie_standalone.services import Options
from vigie_standalone.up import banner


@pytest.mark.parametrize(
    ("host", "url", "own_url"),
    [
        ("127.0.0.1", "http://localhost:3000", "http://127.0.0.1:3000"),
        ("0.0.0.0", "http://localhost:3000", "http://127.0.0.1:3000"),
        ("::", "http://localhost:3000", "http://[::1]:3000"),
        ("::1", "http://[::1]:3000", "http://[::1]:3000"),
        ("192.0.2.7", "http://192.0.2.7:3000", "http://192.0.2.7:3000"),
    ],
)
def test_address_is_one_under_which_the_front_door_answers(tmp_path, host: str, url: str, own_url: str) -> None:
    options = Options(tmp_path, host=host)
    assert (options.url, options.own_url) == (url, own_url)
    assert f"curl -X POST {url}/api" in banner(options, 1.0)


def test_port_of_an_ipv6_address_is_looked_at_there() -> None:
    port = free_port()
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as server:
        try:
            server.bind(("::1", port))
        except OSError:
            pytest.skip("this machine has no IPv6")
        server.listen()
        assert not is_free(port, "::1")
    assert is_free(port, "::1")
