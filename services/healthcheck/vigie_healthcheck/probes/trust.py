"""Whose certificates count, and what is said of those that do not."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from cryptography import x509

_EXPIRED, _NOT_YET, _SELF_SIGNED, _SELF_SIGNED_CHAIN, _NO_ISSUER, _NO_ISSUER_OF_LEAF = 10, 9, 18, 19, 20, 21
_WRONG_HOST, _WRONG_ADDRESS = 62, 64
_DER: Final = 2
"""`_ssl.ENCODING_DER`."""
_SENTENCES: Final = {
    _EXPIRED: "the certificate has expired",
    _NOT_YET: "the certificate is not valid yet",
    _SELF_SIGNED: "the certificate is self-signed",
    _SELF_SIGNED_CHAIN: "the certificate is signed by an authority that is not trusted",
    _NO_ISSUER: "the certificate is signed by an authority that is not trusted, or its chain is not complete",
    _NO_ISSUER_OF_LEAF: "the certificate is signed by an authority that is not trusted, or its chain is not complete",
    _WRONG_HOST: "the certificate is for another host",
    _WRONG_ADDRESS: "the certificate is for another host",
}
"""By OpenSSL's X509_V_ERR codes."""


class Trust:
    """The TLS of connections. `make`: a context that trusts whom the operator trusts; called once for each way to ask,
    as what is offered to the server (ALPN) belongs to a context."""

    def __init__(self, make: Callable[[], ssl.SSLContext] = ssl.create_default_context) -> None:
        self._make = make
        self._made: dict[tuple[bool, str], ssl.SSLContext] = {}

    def context(self, *, verify: bool = True, alpn: str = "") -> ssl.SSLContext:
        """`verify` False: anybody's certificate. `alpn`: the protocol that is offered, `h2`; "" offers none."""
        context = self._made.get((verify, alpn))
        if context is None:
            context = self._made[verify, alpn] = self._make()
            if not verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if alpn:
                context.set_alpn_protocols([alpn])
        return context


def sentence(error: ssl.SSLError) -> str:
    """Why there is no encrypted connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _SENTENCES.get(error.verify_code, "the certificate is not trusted")
    return "no encrypted connection: the TLS handshake failed"


def expiry(connection: ssl.SSLObject | ssl.SSLSocket) -> float | None:
    """When the first certificate of the chain that the server shows expires, seconds since the Unix epoch. None when
    there is none, or none that can be read."""
    ends: list[float] = []
    for one in _chain(connection):
        with suppress(ValueError):
            ends.append(x509.load_der_x509_certificate(one).not_valid_after_utc.timestamp())
    return min(ends, default=None)


def _chain(connection: ssl.SSLObject | ssl.SSLSocket) -> list[bytes]:
    """As DER, the server's own certificate first."""
    told = getattr(connection, "get_unverified_chain", None)
    if told is not None:
        return list(told())
    # Before Python 3.13 only what is inside of the connection tells of the chain.
    inside: Any = getattr(connection, "_sslobj", None)
    chain: Any = getattr(inside, "get_unverified_chain", lambda: None)()
    if chain:
        return [one.public_bytes(_DER) for one in chain]
    own = connection.getpeercert(binary_form=True)
    return [own] if own else []
