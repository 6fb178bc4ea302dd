"""Whose certificates the agent believes."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from vigie_agent.errors import BadSettingError
from vigie_agent.trust import trust


@pytest.mark.parametrize(
    ("url", "verified"),
    [("https://vigie.example", True), ("https://localhost:3000", False), ("http://127.0.0.1:3000", False)],
)
def test_servers_are_verified_but_not_on_the_loopback(url: str, verified: bool) -> None:
    trusted = trust(url, "")
    assert (trusted.verify_mode == ssl.CERT_REQUIRED, trusted.check_hostname) == (verified, verified)
    assert bool(trusted.get_ca_certs() or trusted.cert_store_stats()["x509"]) == verified


@pytest.mark.parametrize("url", ["https://vigie.example", "https://localhost:3000"])
def test_authorities_that_cannot_be_read_are_a_bad_setting(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadSettingError, match="cannot be read"):
        trust(url, str(tmp_path / "none.pem"))
