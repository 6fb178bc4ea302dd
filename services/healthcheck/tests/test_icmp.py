"""Echo requests: where they are permitted, and where not."""

from __future__ import annotations

import socket

import pytest
from vigie_contracts.checks import Verdict
from vigie_healthcheck.probes import datagrams, icmp

from services.healthcheck.tests.asking import outcome


def permitted(family: int) -> bool:
    try:
        icmp._allowed(family).close()
    except icmp.Failed:
        return False
    return True


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "[::1]")])
async def test_a_host_that_answers_is_up(family: int, host: str) -> None:
    if not permitted(family):
        pytest.skip("echo requests are not permitted here: the next test is the one that counts")
    got = await outcome("icmp", f"icmp://{host}")
    if got.reason == "there is no route to the host":
        pytest.skip("no IPv6 here")
    assert (got.verdict, got.reason) == (Verdict.UP, "")
    assert set(got.phases) == {"resolve", "connect", "processing"}


async def test_where_none_is_permitted_the_target_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> socket.socket:
        raise PermissionError

    monkeypatch.setattr(icmp.socket, "socket", forbidden)
    got = await outcome("icmp", "icmp://127.0.0.1")
    assert (got.verdict, got.reason) == (Verdict.UNKNOWN, "this prober may not send echo requests (ICMP)")


@pytest.mark.parametrize(("reply", "ours"), [(b"\0", True), (b"\x08", False), (b"", False)])
@pytest.mark.parametrize("header", [b"", b"\x45" + b"\0" * 19, b"\x46" + b"\0" * 23])
async def test_only_the_reply_with_our_bytes_counts(reply: bytes, ours: bool, header: bytes) -> None:
    token = b"0123456789abcdef"
    assert icmp._answers(header + reply + b"\0" * 7 + token, 0, token) is (ours or (not reply and False))
    assert not icmp._answers(header + reply + b"\0" * 7 + token[::-1], 0, token)


async def test_a_host_that_does_not_answer_is_asked_again_until_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A UDP socket stands for ICMP, so that it needs no permission."""
    monkeypatch.setattr(datagrams, "AGAIN_S", 0.02)
    monkeypatch.setattr(icmp, "_allowed", lambda family: socket.socket(family, socket.SOCK_DGRAM))
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    silent.setblocking(False)
    got = await outcome("icmp", f"icmp://127.0.0.1:{silent.getsockname()[1]}", deadline_s=0.15)
    assert got.reason == "no answer within 0.15 s, the time ended in waiting for the answer"
    first, second = silent.recv(100), silent.recv(100)
    silent.close()
    assert first == second
    assert first[0] == 8
    assert icmp._checksum(first) == 0
