"""Sending: repeated until Vigie has it, once for a host and timestamp, and whoever has to act is told."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from vigie_agent.sending import SLOWLY_S, Sender
from vigie_agent.spool import Lost, Spool
from vigie_client.transport import HttpTransport

from services.agent.tests.gateway import CUT, Gateway, gateway

T0 = 1_800_000_000_000


@pytest.fixture
def door() -> Iterator[Gateway]:
    with gateway() as found:
        yield found


def sender_of(url: str, path: Path, count: int, key: str | None = None) -> tuple[Sender, Spool]:
    spool = Spool(path, 64 << 20)
    for number in range(count):
        spool.put(T0 + number * 30_000, json.dumps({"host": "web-1", "timestamp": T0 + number * 30_000}).encode())
    return Sender(spool, HttpTransport(url, api_key=key)), spool


def drain(sender: Sender, attempts: int = 200) -> None:
    for _ in range(attempts):
        if sender.attempt() is None:
            return
    raise AssertionError("it does not come to an end")


def test_an_hour_away_is_filled_exactly(tmp_path: Path, door: Gateway) -> None:
    sender, spool = sender_of(door.url, tmp_path, 120)
    door.script.extend([503, CUT, 500, 429])
    drain(sender)
    assert sorted(timestamp for _, timestamp in door.reports) == [T0 + n * 30_000 for n in range(120)]
    assert door.repeated == 100, "what was taken before the cut came twice, and counts once"
    assert (len(spool), sender.sent, sender.problem) == (0, 120, None)
    assert max(door.batches) <= 100


def test_the_key_goes_along(tmp_path: Path, door: Gateway) -> None:
    drain(sender_of(door.url, tmp_path, 1, "vk_x")[0])
    assert door.headers[0]["authorization"] == "Bearer vk_x"


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_not_taken_is_said_and_nothing_is_lost(
    tmp_path: Path, door: Gateway, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    sender, spool = sender_of(door.url, tmp_path, 3)
    door.script.extend([status, status])
    with caplog.at_level(logging.WARNING):
        assert sender.attempt() == SLOWLY_S
        assert sender.attempt() == SLOWLY_S
    assert caplog.text.count("the key (VIGIE_API_KEY) must have the scope") == 1
    assert len(spool) == 3
    assert "scope `agent`" in (sender.problem or "")
    drain(sender)
    assert len(door.reports) == 3
    assert sender.problem is None


def test_a_server_that_is_away_is_tried_again_later(tmp_path: Path) -> None:
    sender, spool = sender_of("http://127.0.0.1:9", tmp_path, 2)
    waits = [sender.attempt() or 0 for _ in range(5)]
    assert all(0 < wait <= 30 for wait in waits)
    assert len(spool) == 2


def test_a_refused_report_does_not_hold_up_the_others(tmp_path: Path, door: Gateway) -> None:
    sender, spool = sender_of(door.url, tmp_path, 5)
    door.refuse = {T0 + 60_000: "cpu.percent"}
    drain(sender)
    assert len(door.reports) == 4
    assert (len(spool), spool.lost) == (0, {Lost.REFUSED: 1})


def test_when_all_are_refused_one_by_one_it_ends(tmp_path: Path, door: Gateway) -> None:
    sender, spool = sender_of(door.url, tmp_path, 2)
    door.refuse = {T0: "host", T0 + 30_000: "host"}
    drain(sender)
    assert (len(spool), spool.lost) == (0, {Lost.REFUSED: 2})


def test_a_request_that_is_wrong_as_a_whole_is_taken_apart(tmp_path: Path, door: Gateway) -> None:
    sender, spool = sender_of(door.url, tmp_path, 4)
    door.script.extend([400, 400, 400])  # of four, of two, of one: that one it was
    drain(sender)
    assert len(door.reports) == 3
    assert spool.lost == {Lost.REFUSED: 1}


def test_what_is_too_large_is_sent_in_parts(tmp_path: Path, door: Gateway) -> None:
    sender, spool = sender_of(door.url, tmp_path, 4)
    door.script.extend([413])
    drain(sender)
    assert door.batches[0] == 2
    assert (len(door.reports), spool.lost) == (4, {})


def test_a_clock_that_is_ahead_is_said_and_its_reports_wait(
    tmp_path: Path, door: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    sender, spool = sender_of(door.url, tmp_path, 2)
    door.ahead_s = -3_600  # the server's clock is behind ours
    door.refuse = {T0 + 30_000: "timestamp"}
    with caplog.at_level(logging.WARNING):
        assert sender.attempt() == SLOWLY_S
    assert re.search(r"clock of this machine is 36\d\d s ahead of Vigie's|359\d s ahead", caplog.text)
    assert (len(spool), spool.lost) == (1, {})
    door.ahead_s, door.refuse = 0, {}
    drain(sender)
    assert len(door.reports) == 2


def test_a_strange_success_is_no_success(tmp_path: Path, door: Gateway) -> None:
    sender, spool = sender_of(door.url, tmp_path, 2)
    door.script.extend([200])
    wait = sender.attempt()
    assert wait is not None
    assert wait > 0
    assert "not one of Vigie's" in (sender.problem or "")
    assert len(spool) == 2


@pytest.mark.parametrize("status", [400, 415, 422])
def test_a_refusal_that_is_not_of_vigie_gives_up_nothing(tmp_path: Path, door: Gateway, status: int) -> None:
    sender, spool = sender_of(door.url, tmp_path, 3)
    door.script.extend([(status, "plain HTTP was sent to an HTTPS port")])
    wait = sender.attempt()
    assert wait is not None
    assert wait > 0
    assert len(spool) == 3
    drain(sender)
    assert len(door.reports) == 3
