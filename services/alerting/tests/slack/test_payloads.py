"""What is no press of a button of Vigie is refused before anything is looked up."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_alerting.slack.payloads import read
from vigie_alerting.slack.rendering import Press, Value
from vigie_web.errors import Malformed


def form(**changes: Any) -> bytes:
    payload = {
        "type": "block_actions", "user": {"id": "U1", "username": "anna", "team_id": "T1", "tz": "x"},
        "actions": [{"action_id": "vigie.acknowledge", "value": "00ff.2", "block_id": "b"}],
        "response_url": "https://hooks.slack.com/actions/T1/2/3", "trigger_id": "1", **changes,
    }  # fmt: skip
    return urlencode({"payload": json.dumps(payload)}).encode()


def test_a_press_is_read() -> None:
    pressed = read(form())
    assert (pressed.press, pressed.value) == (Press.ACKNOWLEDGE, Value("00ff", 2))
    assert (pressed.by.id, pressed.by.name, pressed.by.team) == ("U1", "anna", "T1")
    assert str(pressed.value) == "00ff.2"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"payload=", b"payload=%7B", b"payload={}", b"other=1", b"\xff", b"a=1&" * 20 + b"payload={}",
        b'{"type": "block_actions"}', form(type="view_submission"), form(actions=[]), form(user=7),
        form(actions=[{"action_id": "other", "value": "00.1"}]),
        form(actions=[{"action_id": "vigie.silence", "value": "00"}]),
        form(actions=[{"action_id": "vigie.silence", "value": "../x.1"}]),
        form(actions=[{"action_id": "vigie.silence", "value": "00." + "9" * 10}]),
        form(actions=[{"action_id": "vigie.silence", "value": "00.1"}] * 2),
        b"payload=" + b"%5B" * 100_000,
    ],
)  # fmt: skip
def test_what_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        read(body)


@given(st.binary(max_size=500))
def test_no_bytes_break_it(body: bytes) -> None:
    with pytest.raises(Malformed):
        read(b"payload=" + body)
