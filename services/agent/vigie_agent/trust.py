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
    names it. Raises BadSettingError."""
    try:
        trusted = ssl.create_default_context(cafile=ca_file or None)
    except OSError as e:
        raise BadSettingError(VARIABLES["ca_file"], f"names {ca_file}, which cannot be read: {e}") from None
    if urlsplit(url).hostname in LOOPBACK:
        trusted.check_hostname = False
        trusted.verify_mode = ssl.CERT_NONE
    return trusted
