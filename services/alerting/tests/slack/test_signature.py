"""Only who knows the signing secret is believed, for five minutes, and only the very bytes that were signed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_alerting.slack.signature import WINDOW_S, is_signed, signature

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
AT = 1_531_420_618
NOW_MS = AT * 1000


def test_the_example_of_slacks_documentation_is_right() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    expected = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    assert signature(SECRET, str(AT), body) == expected
    assert is_signed(SECRET, str(AT), expected, body, NOW_MS)


@given(st.binary(min_size=1, max_size=300), st.data())
def test_any_changed_byte_is_refused(body: bytes, data: st.DataObject) -> None:
    right = signature(SECRET, str(AT), body)
    assert is_signed(SECRET, str(AT), right, body, NOW_MS)
    at = data.draw(st.integers(0, len(body) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != body[at]))
    assert not is_signed(SECRET, str(AT), right, body[:at] + bytes([other]) + body[at + 1 :], NOW_MS)
    assert not is_signed(SECRET, str(AT), right, body[:at] + body[at + 1 :], NOW_MS)
    assert not is_signed(SECRET, str(AT), right, body + bytes([other]), NOW_MS)
    assert not is_signed(SECRET, str(AT + 1), right, body, NOW_MS)
    where = data.draw(st.integers(0, len(right) - 1))
    char = data.draw(st.characters(max_codepoint=0x2FF).filter(lambda found: found != right[where]))
    assert not is_signed(SECRET, str(AT), right[:where] + char + right[where + 1 :], body, NOW_MS)
    assert not is_signed(SECRET[:-1] + "6", str(AT), right, body, NOW_MS)


@given(st.integers(-10_000, 10_000))
def test_it_is_good_for_five_minutes(seconds: int) -> None:
    right = signature(SECRET, str(AT), b"x")
    assert is_signed(SECRET, str(AT), right, b"x", NOW_MS + seconds * 1000) is (abs(seconds) <= WINDOW_S)


@pytest.mark.parametrize("at", ["", "soon", "-1", "1e9", " 1531420618", "1531420618\n", "9" * 13, "\uff11531420618"])
def test_a_time_that_is_none_is_refused(at: str) -> None:
    assert not is_signed(SECRET, at, signature(SECRET, at, b"x"), b"x", NOW_MS)


@pytest.mark.parametrize("given_", ["", "v0=", "v1=00", "\u00e9"])
def test_a_signature_that_is_none_is_refused(given_: str) -> None:
    assert not is_signed(SECRET, str(AT), given_, b"x", NOW_MS)
