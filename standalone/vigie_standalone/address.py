"""Where the front door may listen: looked at before anything is started."""

import errno
import os
import socket
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address

from vigie_standalone.errors import StandaloneError
from vigie_standalone.services import Options, anonymous


class PortTakenError(StandaloneError):
    """Something else listens where the front door should."""

    def __init__(self, port: int) -> None:
        other = port + 1 if port < 65_535 else port - 1
        super().__init__(
            f"Port {port} is taken by another program. Stop that one, or choose another port: `vigie up --port "
            f"{other}`."
        )


class HostError(StandaloneError):
    """The front door cannot listen on what `--host` says."""

    def __init__(self, host: str, why: str) -> None:
        super().__init__(
            f"--host {host!r} {why}. Give an address of this machine: 127.0.0.1 for this machine alone, 0.0.0.0 (or :: "
            "with IPv6) for the whole network."
        )


class OpenToAllError(StandaloneError):
    """Other machines could write without a credential, and nobody said that they may."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"With --host {host} other machines reach Vigie, and what callers without a credential may do was not "
            "said. Set VIGIE_ANONYMOUS=nothing (everybody needs a key or a login: `vigie key create`), or "
            f"VIGIE_ANONYMOUS={anonymous()} to let everybody do what is allowed on your own machine."
        )


def usable(options: Options) -> Options:
    """The options with the host as the one address that is listened on. Raises StandaloneError when the front door
    could not listen there, or would let in callers whom nobody has invited."""
    address = _resolved(options.host)
    _try_to_bind(options, address)
    if not (getattr(address, "ipv4_mapped", None) or address).is_loopback and not os.environ.get("VIGIE_ANONYMOUS"):
        raise OpenToAllError(options.host)
    return replace(options, host=str(address))


def _resolved(host: str) -> IPv4Address | IPv6Address:
    if not host.strip():  # a server would take it for all addresses
        raise HostError(host, "is empty")
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError):
        raise HostError(host, "is neither an address nor a name that is known here") from None
    return min((ip_address(str(address[0])) for *_, address in found), key=lambda address: address.version)


def _try_to_bind(options: Options, address: IPv4Address | IPv6Address) -> None:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT leftovers do not stop a server
            probe.bind((str(address), options.port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(options.port) from None
        if error.errno == errno.EACCES:
            raise StandaloneError(
                f"Port {options.port} is not for you to open. Choose one above 1023: `vigie up --port 3000`."
            ) from None
        why = "is no address of this machine" if error.errno == errno.EADDRNOTAVAIL else f"is refused: {error.strerror}"
        raise HostError(options.host, why) from None
