"""Who asks from this machine."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any


def from_this_machine(scope: Mapping[str, Any]) -> bool:
    """Whether the client of an ASGI request is on this machine."""
    client = scope.get("client")
    try:
        address = ip_address(client[0]) if client else None
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)  # how an IPv4 client looks on a socket for both
    return address is not None and (mapped or address).is_loopback
