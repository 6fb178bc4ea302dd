"""Whose certificates are believed."""

from __future__ import annotations

import ssl
from typing import Final
from urllib.parse import urlsplit

from vigie_agent.errors import BadSettingError
from vigie_agent.settings import VARIABLES

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def trust(url: str, ca_file: str) -> ssl.SSLContext:
    """Those of the system's authorities, or of one. On the loopback nobody stands in between, and a certificate seldom
    names it: the authorities, five megabytes, are not even loaded. Raises BadSettingError."""
    nobody_between = urlsplit(url).hostname in LOOPBACK
    if nobody_between and not ca_file:
        return _unverified(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    try:
        trusted = ssl.create_default_context(cafile=ca_file or None)
    except OSError as e:
        raise BadSettingError(VARIABLES["ca_file"], f"names {ca_file}, which cannot be read: {e}") from None
    return _unverified(trusted) if nobody_between else trusted


def _unverified(context: ssl.SSLContext) -> ssl.SSLContext:
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
