"""Whose request it is behind proxies, and what a stranger can write to look like somebody else."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_runtime.addresses import MAX_HOPS, UNKNOWN, Origin, Origins, client_address, networks, origin

PROXIES = networks("10.0.0.0/8, 192.0.2.1, fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.5", "", "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),  # nobody's proxy: the header is a stranger's
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),  # the left one was there when the proxy was called
        ("10.0.0.1", "1.1.1.1, 198.51.100.1, 192.0.2.1, 10.9.9.9", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"),  # nothing but proxies: the first of them asks
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_proxy(peer: str, forwarded: str, client: str) -> None:
    assert str(client_address(peer, forwarded, PROXIES)) == client


@pytest.mark.parametrize(
    ("hop", "client"),
    [
        ("198.51.100.1:4711", "198.51.100.1"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ('"[2001:db8::7]:4711"', "2001:db8::7"),
        ("  198.51.100.1\t", "198.51.100.1"),
        ("fe80::7%eth0", "fe80::7"),
    ],
)
def test_a_hop_is_understood_as_proxies_write_it(hop: str, client: str) -> None:
    assert str(client_address("10.0.0.1", hop, PROXIES)) == client


@pytest.mark.parametrize(
    "garbage",
    [
        "unknown", "_hidden", "", " ", "198.51.100.1:", "198.51.100.1:x", "198.51.100.1:123456", "[2001:db8::7",
        "[2001:db8::7]x", "[2001:db8::7]:x", "198.51.100.01", "1.2.3", "2001:db8::7::1", "localhost", "\x00", "é",
        "198.51.100.1;x", "198.51.100.1 198.51.100.2",
    ],
)  # fmt: skip
def test_where_a_proxy_names_no_address_its_own_counts(garbage: str) -> None:
    assert str(client_address("10.0.0.1", f"198.51.100.1, {garbage}", PROXIES)) == "10.0.0.1"
    assert str(client_address("10.0.0.1", f"198.51.100.1, {garbage}, 10.0.0.2", PROXIES)) == "10.0.0.2"


def test_what_a_stranger_writes_on_the_left_changes_nothing() -> None:
    spoofed = ["127.0.0.1", "10.0.0.1", "::1", "unknown", "", ",,,", "10.0.0.1," * 1_000]
    assert {str(client_address("10.0.0.1", f"{left}, 198.51.100.1", PROXIES)) for left in spoofed} == {"198.51.100.1"}


def test_no_more_proxies_are_believed_than_there_can_be() -> None:
    chain = ", ".join(["198.51.100.1", *(f"10.0.0.{n}" for n in range(MAX_HOPS))])
    assert str(client_address("10.9.9.9", chain, PROXIES)) == "10.0.0.1"
    assert str(client_address("10.9.9.9", chain.replace(", 10.0.0.0,", ","), PROXIES)) == "198.51.100.1"


@pytest.mark.parametrize("peer", [None, "", "testclient", "/run/vigie.sock"])
def test_a_peer_without_an_address_is_unknown_whatever_it_says(peer: str | None) -> None:
    assert client_address(peer, "198.51.100.1", PROXIES) is None
    assert origin(peer, "198.51.100.1", PROXIES) == UNKNOWN


@given(st.text(max_size=200), st.text(max_size=200))
def test_no_text_is_too_strange(peer: str, forwarded: str) -> None:
    address = client_address(peer, forwarded, PROXIES)
    assert address is None or address == ip_address(str(address))
    assert client_address("203.0.113.5", forwarded, PROXIES) == ip_address("203.0.113.5")


@pytest.mark.parametrize(
    ("peer", "found"),
    [
        ("198.51.100.1", Origin("198.51.100.1", "198.51.100.1")),
        ("2001:db8:1:2:3:4:5:6", Origin("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64")),
        ("2001:DB8:1:2::", Origin("2001:db8:1:2::", "2001:db8:1:2::/64")),
        ("::ffff:198.51.100.1", Origin("198.51.100.1", "198.51.100.1")),
        ("64:ff9b::198.51.100.1", Origin("64:ff9b::c633:6401", "198.51.100.1")),
        ("127.0.0.1", Origin("127.0.0.1", "127.0.0.1", local=True)),
        ("::1", Origin("::1", "::/64", local=True)),
        ("::ffff:127.0.0.1", Origin("127.0.0.1", "127.0.0.1", local=True)),
    ],
)
def test_an_origin_is_one_line_not_one_of_its_many_addresses(peer: str, found: Origin) -> None:
    assert origin(peer, "", ()) == found


def test_who_comes_by_way_of_a_proxy_is_not_this_machine() -> None:
    assert not origin("127.0.0.1", "198.51.100.1", ()).local
    assert not origin("127.0.0.1", "127.0.0.1", networks("127.0.0.1")).local
    assert not origin("10.0.0.1", "127.0.0.1", PROXIES).local


def test_origins_are_remembered_and_told_apart() -> None:
    origins = Origins(PROXIES)
    assert origins.of("10.0.0.1", b"198.51.100.1").address == "198.51.100.1"
    assert origins.of("10.0.0.1", b"198.51.100.2").address == "198.51.100.2"
    assert origins.of("10.0.0.1", None).address == "10.0.0.1"
    assert origins.of("10.0.0.1", b"x" * 60_000 + b", 198.51.100.1").address == "198.51.100.1"
    assert origins.of("10.0.0.1", b"198.51.100.1") is origins.of("10.0.0.1", b"198.51.100.1")


def test_a_header_that_is_not_believed_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    origins = Origins(PROXIES)
    for n in range(3):
        origins.of(f"203.0.113.{n}", b"198.51.100.1")
    assert capsys.readouterr().out.count("VIGIE_TRUSTED_PROXIES") == 1


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "proxy", "10.0.0.0/8;fd00::/8"])
def test_networks_that_are_none_are_named(text: str) -> None:
    with pytest.raises(ValueError, match=text.partition("/")[0].partition(";")[0]):
        networks(text)


def test_no_networks_are_an_empty_text() -> None:
    assert networks("") == networks(" , ") == ()
