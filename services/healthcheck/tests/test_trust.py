"""Certificates: those that count, those that do not, and when they end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Expectations
from vigie_healthcheck.probes.base import EXPIRY
from vigie_healthcheck.probes.registry import SCHEMES
from vigie_healthcheck.probes.trust import Trust

from services.healthcheck.tests.asking import answer, nobody, outcome
from services.healthcheck.tests.certificates import Authority
from services.healthcheck.tests.servers import hangs, says, server

AUTHORITY = Authority()
DAY = 86_400
NO_ISSUER = "the certificate is signed by an authority that is not trusted, or its chain is not complete"


async def test_tls_tells_when_the_certificate_expires(tmp_path: Path) -> None:
    async with server(hangs, AUTHORITY.server(tmp_path)) as target:
        got = await outcome("tls", f"tls://127.0.0.1:{target.port}", AUTHORITY.trust())
    assert (got.verdict, got.reason) == (Verdict.UP, "")
    assert got.facts[EXPIRY] == pytest.approx(time.time() + 30 * DAY, abs=120)


async def test_the_certificate_of_the_chain_that_ends_first_counts(tmp_path: Path) -> None:
    async with server(hangs, AUTHORITY.server(tmp_path, between=10)) as target:
        got = await outcome("tls", f"tls://127.0.0.1:{target.port}", AUTHORITY.trust())
    assert (got.verdict, got.reason) == (Verdict.UP, "")
    assert got.facts[EXPIRY] == pytest.approx(time.time() + 10 * DAY, abs=120)


@pytest.mark.parametrize(
    ("made", "trust", "reason"),
    [
        ({"days": -1}, AUTHORITY.trust(), "the certificate has expired"),
        ({"self_signed": True}, AUTHORITY.trust(), "the certificate is self-signed"),
        ({"name": "other.example"}, AUTHORITY.trust(), "the certificate is for another host"),
        (
            {},
            Trust(nobody),
            NO_ISSUER,
        ),
    ],
)
@pytest.mark.parametrize("scheme", ["tls", "https"])
async def test_wrong_certificates_are_named(
    tmp_path: Path, scheme: str, made: dict[str, Any], trust: Trust, reason: str
) -> None:
    async with server(hangs, AUTHORITY.server(tmp_path, **made)) as target:
        got = await outcome(SCHEMES[scheme], f"{scheme}://127.0.0.1:{target.port}", trust)
    assert (got.verdict, got.reason) == (Verdict.DOWN, reason)


@pytest.mark.parametrize("made", [{}, {"days": -1}, {"self_signed": True}, {"name": "other.example"}])
async def test_where_nobody_is_verified_any_certificate_does_and_its_end_is_told(
    tmp_path: Path, made: dict[str, Any]
) -> None:
    ends = time.time() + made.get("days", 30) * DAY
    async with server(says(answer(200)), AUTHORITY.server(tmp_path, **made)) as target:
        got = await outcome("http", f"https://127.0.0.1:{target.port}", Trust(nobody), verify=False)
    assert (got.verdict, got.reason) == (Verdict.UP, "")
    assert got.facts[EXPIRY] == pytest.approx(ends, abs=120)
    assert got.facts["probe_http_ssl"] == 1.0


@pytest.mark.parametrize(
    ("days", "verdict", "reason"),
    [(40, Verdict.UP, ""), (20.5, Verdict.DEGRADED, "the certificate ends in 20 days")],
)
async def test_a_certificate_that_ends_soon_is_degraded(
    tmp_path: Path, days: float, verdict: Verdict, reason: str
) -> None:
    expect = Expectations(expires_within_ms=30 * DAY * 1000)
    async with server(hangs, AUTHORITY.server(tmp_path, days=days)) as target:
        got = await outcome("tls", f"tls://127.0.0.1:{target.port}", AUTHORITY.trust(), expect=expect)
    assert (got.verdict, got.reason) == (verdict, reason)


async def test_the_name_that_is_asked_for_may_be_another(tmp_path: Path) -> None:
    async with server(hangs, AUTHORITY.server(tmp_path, name="other.example")) as target:
        url, options = f"tls://127.0.0.1:{target.port}", {"serverName": "other.example"}
        assert (await outcome("tls", url, AUTHORITY.trust(), options=options)).verdict is Verdict.UP
        options = {"serverName": ".."}
        got = await outcome("tls", url, AUTHORITY.trust(), options=options)
        assert (got.verdict, got.reason) == (Verdict.UNKNOWN, "the name of the host cannot stand in a certificate")


async def test_where_no_tls_is_spoken_the_handshake_fails() -> None:
    async with server(says(b"hello")) as target:
        got = await outcome("tls", f"tls://127.0.0.1:{target.port}", AUTHORITY.trust())
    assert (got.verdict, got.reason) == (Verdict.DOWN, "no encrypted connection: the TLS handshake failed")
