"""Which addresses may be called for a tenant."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from vigie_runtime.addresses import networks
from vigie_runtime.egress import AddressForbidden, Egress, HostUnknown, callable_


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "100.100.100.200", "168.63.129.16", "224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1", "192.0.2.1",
        "198.18.0.1", "::", "::1", "fe80::1", "fd00:ec2::254", "fc00::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1",
        "::127.0.0.1", "::ffff:0:10.0.0.1", "2001:db8::1", "2001:0:1:1:1:1:80ff:fffe",
        "64:ff9b:1:a9fe:a9:fe00::",
    ],
)  # fmt: skip
def test_addresses_inside_are_not_called(address: str) -> None:
    assert not callable_(ip_address(address), ())


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses_are_called(address: str) -> None:
    assert callable_(ip_address(address), ())


def test_what_the_operator_allows_is_called() -> None:
    assert callable_(ip_address("10.1.2.3"), networks("10.1.0.0/16"))
    assert callable_(ip_address("::ffff:10.1.2.3"), networks("10.1.0.0/16"))
    assert not callable_(ip_address("10.2.2.3"), networks("10.1.0.0/16"))


def looked_up(*found: str) -> Egress:
    async def lookup(_host: str, _port: int) -> list[str]:
        return list(found)

    return Egress((), lookup)


async def test_only_the_addresses_that_may_be_called_are_given() -> None:
    assert await looked_up("10.0.0.1", "8.8.8.8", "fe80::1%eth0").addresses("mixed.example", 80) == ["8.8.8.8"]
    with pytest.raises(AddressForbidden):
        await looked_up("10.0.0.1", "::1").addresses("inside.example", 80)


async def test_names_without_an_address_are_unknown() -> None:
    async def nothing(_host: str, _port: int) -> list[str]:
        raise OSError

    with pytest.raises(HostUnknown):
        await Egress((), nothing).addresses("gone.example", 80)
    with pytest.raises(HostUnknown):
        await looked_up().addresses("empty.example", 80)
