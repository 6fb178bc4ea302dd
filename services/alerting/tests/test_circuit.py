"""When a channel is tried, and where a process is made to end."""

from __future__ import annotations

import os
import signal

import pytest
from vigie_alerting.channels.model import masked, masked_url
from vigie_alerting.notifiers.registry import KINDS
from vigie_alerting.sender.circuit import FAILURES, Circuit
from vigie_alerting.sender.failpoints import VARIABLE, Point, from_environment
from vigie_alerting.sender.metrics import ChannelType
from vigie_runtime.backoff import Backoff


def test_circuit_opens_after_failures_in_a_row_and_closes_on_success() -> None:
    circuit = Circuit(4, Backoff(10.0, 60.0, jitter=0))
    for _ in range(FAILURES - 1):
        circuit.failed(0.0, 1.0, None)
    assert circuit.room(1.0) == 12
    circuit.failed(0.0, 1.0, None)
    assert circuit.open
    assert circuit.room(10.9) == 0
    assert circuit.room(11.0) == 1
    circuit.failed(11.0, 12.0, None)
    assert circuit.room(31.9) == 0
    assert circuit.room(32.0) == 1
    circuit.succeeded()
    assert circuit.room(32.0) == 12


def test_those_that_fail_together_do_not_make_the_pause_longer() -> None:
    circuit = Circuit(16, Backoff(1.0, 60.0, jitter=0))
    for _ in range(16):
        circuit.failed(0.0, 1.0, None)
    assert circuit.room(2.0) == 1


def test_retry_after_holds_the_channel_at_once() -> None:
    circuit = Circuit(4)
    circuit.failed(0.0, 0.0, 7.0)
    assert not circuit.open
    assert circuit.room(6.9) == 0
    assert not circuit.may_send(6.9)
    assert circuit.may_send(7.0)


def test_of_those_that_wait_when_the_circuit_opens_none_goes_on() -> None:
    circuit = Circuit(4, Backoff(10.0, 60.0, jitter=0))
    circuit.claimed = 5
    for _ in range(FAILURES):
        circuit.failed(0.0, 0.0, None)
    assert not circuit.may_send(10.0)
    circuit.claimed = 1
    assert circuit.may_send(10.0)


def test_failpoint_kills_the_process_when_it_gets_there(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, sign: killed.append((pid, sign)))
    monkeypatch.setenv(VARIABLE, "after_send@2")
    reach = from_environment()
    reach(Point.AFTER_SEND)
    reach(Point.BEFORE_SEND)
    assert not killed
    reach(Point.AFTER_SEND)
    assert killed == [(os.getpid(), signal.SIGKILL)]


@pytest.mark.parametrize("text", ["somewhere", "after_send@", "after_send@x"])
def test_failpoint_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(VARIABLE, text)
    if text == "after_send@":
        from_environment()
        return
    with pytest.raises(ValueError, match="after_store"):
        from_environment()


def test_every_kind_has_its_metric_label() -> None:
    assert {kind.value for kind in ChannelType} - {"unknown", "canary"} == set(KINDS)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.slack.com/services/T0/B0/abcdefghWXYZ", "https://hooks.slack.com/***WXYZ"),
        ("https://user:password@x.example/", "https://x.example/***"),
        ("https://x.example/a?token=abcdefghijkl", "https://x.example/***ijkl"),
        ("https://x.example", "https://x.example"),
        ("http://10.0.0.7:8443/hook?token=abcdefghijkl", "http://10.0.0.7:8443/***ijkl"),
        ("http://[2001:db8::1]:8443/", "http://[2001:db8::1]:8443"),
        ("http://[2001:db8::1]/", "http://[2001:db8::1]"),
        ("http://x.example:99999/secret", "***"),
        ("http://[::1/", "***"),
    ],
)
def test_masked_url_tells_the_host_and_no_more(url: str, shown: str) -> None:
    assert masked_url(url) == shown


def test_short_secrets_are_hidden_whole() -> None:
    assert (masked("short"), masked(""), masked("long enough to tell")) == ("***", "", "***tell")
