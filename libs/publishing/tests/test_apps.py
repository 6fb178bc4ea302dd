"""What apps say of themselves: clients of all years are understood, and what cannot be is refused by its field."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_contracts import apps, names
from vigie_contracts.payloads import Payload, payloads
from vigie_contracts.reports import Report
from vigie_publishing.apps import AppMetrics, decode, judge, key_of
from vigie_publishing.errors import ItemError, Reason

NOW_MS = 1_790_000_000_000
SAID = {"userId": "u", "appId": "shop", "metrics": {"cpu": {"usage": 1}}, "timestamp": NOW_MS}


def judged(said: object, app: str | None = None) -> AppMetrics:
    found = judge(said, app, NOW_MS)
    assert isinstance(found, AppMetrics), found
    return found


def refused(said: object, app: str | None = None) -> ItemError:
    found = judge(said, app, NOW_MS)
    assert isinstance(found, ItemError), found
    return found


def values(said: AppMetrics) -> dict[tuple[str, str | None], float]:
    return {(one.name, dict(one.labels).get("key")): one.value for one in said.samples}


@pytest.mark.parametrize("payload", payloads("api.apps.metrics"), ids=lambda p: p.name)
def test_payloads_are_read_or_refused_with_a_field(payload: Payload) -> None:
    decoded = decode(payload.data)
    found = decoded if isinstance(decoded, ItemError) else judge(decoded, "shop", NOW_MS)
    if payload.good:
        assert isinstance(found, AppMetrics)
        assert found.app == "shop"
        assert found.at_ms // 1000 == NOW_MS // 1000
    else:
        assert isinstance(found, ItemError)
        assert found.field
        assert found.detail


def test_the_guide_becomes_six_gauges_of_the_app_and_a_report_that_is_kept_whole() -> None:
    raw = next(p.data for p in payloads("api.apps.metrics") if p.name == "v1-guide.json")
    said = judged(json.loads(raw))
    assert values(said) == {
        (names.APP_CPU_USAGE, None): 42.5, (names.APP_CPU_SYSTEM, None): 12.1, (names.APP_CPU_USER, None): 30.4,
        (names.APP_MEMORY_USED, None): 734003200, (names.APP_MEMORY_TOTAL, None): 1073741824,
        (names.APP_MEMORY_FREE, None): 339738624,
    }  # fmt: skip
    assert all(dict(one.labels)["app"] == "shop" for one in said.samples)
    report = msgspec.json.decode(said.report("acme", b"k" * 16).message(), type=Report)
    assert (report.tenant, report.kind, report.subject, report.timestamp) == ("acme", "app", "shop", NOW_MS)
    assert report.body == json.loads(raw)


def test_other_numbers_are_samples_by_their_path_and_the_rest_is_kept() -> None:
    metrics = {"network": {"latency": "12.5"}, "gc": [1, 2], "version": "1.2.3", "online": True, "heap": None}
    said = judged(SAID | {"metrics": metrics})
    assert values(said) == {(names.APP_METRIC, "network.latency"): 12.5}
    assert said.body["metrics"] == metrics


def test_only_the_first_other_numbers_become_series() -> None:
    metrics = {f"n{i}": i for i in range(100)} | {"cpu": {"usage": 5}, "k" * 129: 1}
    said = judged(SAID | {"metrics": metrics})
    assert len(said.samples) == apps.MAX_OTHERS + 1
    assert values(said)[names.APP_METRIC, "n31"] == 31
    assert values(said)[names.APP_CPU_USAGE, None] == 5


def test_a_number_that_is_there_by_two_spellings_is_one_sample() -> None:
    assert len(judged(SAID | {"metrics": {"cpu": {"usage": 1}, "cpu.usage": 2}}).samples) == 1


@pytest.mark.parametrize(
    ("stamp", "at_ms"),
    [
        (NOW_MS, NOW_MS), (NOW_MS // 1000, NOW_MS), (NOW_MS / 1000 + 0.5, NOW_MS + 500), (NOW_MS * 1000, NOW_MS),
        (NOW_MS * 1_000_000, NOW_MS), (str(NOW_MS // 1000), NOW_MS), (None, NOW_MS), ("", NOW_MS),
        ("2026-09-21T14:13:20Z", NOW_MS), ("2026-09-21 16:13:20+02:00", NOW_MS), ("2026-09-21T14:13:20", NOW_MS),
    ],
)  # fmt: skip
def test_times_of_any_unit_are_understood(stamp: object, at_ms: int) -> None:
    assert judged(SAID | {"timestamp": stamp}).at_ms == at_ms


@pytest.mark.parametrize("stamp", ["soon", True, [], {}, "1e999", 1e300, -1, "20260921", 4_000_000_000])
def test_a_time_that_cannot_be_meant_is_refused_by_name(stamp: object) -> None:
    assert refused(SAID | {"timestamp": stamp}).field == "timestamp"


@pytest.mark.parametrize("value", ["busy", True, [], {"a": 1}, "NaN", "Infinity", "1e999", "", "1_000", "١٢"])
def test_a_known_number_that_is_none_is_refused_by_its_path(value: object) -> None:
    error = refused(SAID | {"metrics": {"cpu": {"usage": value}}})
    assert (error.field, error.reason) == ("metrics.cpu.usage", Reason.VALUE)


def test_metrics_may_be_as_large_as_the_bounds_say_and_no_larger() -> None:
    assert judged(SAID | {"metrics": {f"k{i}": "" for i in range(apps.MAX_KEYS)}}).samples == []
    assert refused(SAID | {"metrics": {f"k{i}": "" for i in range(apps.MAX_KEYS + 1)}}).field == "metrics"
    assert refused(SAID | {"more": {f"k{i}": "" for i in range(apps.MAX_KEYS)}}).field == "data"


def test_the_app_is_named_once() -> None:
    assert judged({"metrics": {}}, "shop").app == "shop"
    assert judged({"metrics": {}, "appId": 7}, None).app == "7"
    assert refused({"metrics": {}}).field == "appId"
    assert refused({"metrics": {}, "appId": "desk"}, "shop").field == "appId"


def test_a_repeat_has_the_same_key_and_nothing_else_has() -> None:
    raw = json.dumps(SAID).encode()
    said = judged(SAID)
    keys = {
        key_of("acme", said, "1", raw), key_of("acme", said, "1", raw), key_of("acme", said, "2", raw),
        key_of("beta", said, "1", raw), key_of("acme", said, None, raw), key_of("acme", said, "1", raw + b" "),
    }  # fmt: skip
    assert len(keys) == 5
    untimed = judged({"appId": "shop", "metrics": {}})
    assert key_of("acme", untimed, "1", b"{}") == key_of("acme", untimed, "1", b"{}")
    assert key_of("acme", untimed, None, b"{}") != key_of("acme", untimed, None, b"{}")


def test_a_message_that_is_too_long_is_not_even_parsed() -> None:
    error = decode(b'"' + b"a" * apps.MAX_MESSAGE_BYTES + b'"')
    assert isinstance(error, ItemError)
    assert str(apps.MAX_MESSAGE_BYTES) in error.detail


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)
MESSAGE = st.fixed_dictionaries({}, optional=dict.fromkeys(("userId", "appId", "metrics", "timestamp", "x"), JSON))
KNOWN = st.fixed_dictionaries(
    {}, optional={"cpu": st.fixed_dictionaries({}, optional={"usage": JSON, "user": JSON}) | JSON, "memory": JSON}
)


@settings(max_examples=300, deadline=None)
@given(MESSAGE | JSON | st.fixed_dictionaries({"appId": st.just("a"), "metrics": KNOWN, "timestamp": JSON}))
def test_nothing_that_json_can_say_raises(said: Any) -> None:
    found = judge(said, None, NOW_MS)
    if isinstance(found, ItemError):
        assert found.field
        return
    assert isinstance(found.at_ms, int)
    assert len(found.samples) <= len(apps.NUMBERS) + apps.MAX_OTHERS
    msgspec.json.decode(found.report("acme", key_of("acme", found, None, b"")).message(), type=Report)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64))
def test_no_bytes_raise(raw: bytes) -> None:
    decoded = decode(raw)
    if not isinstance(decoded, ItemError):
        judge(decoded, "shop", NOW_MS)
