"""Settings, logs, metrics, traces, time and the reader's bookkeeping: what needs no server."""

import asyncio
import json
import logging as stdlib
import random
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo import AsyncMongoClient, ReadPreference
from pymongo.errors import ConfigurationError, OperationFailure
from vigie_runtime import logging, tracing
from vigie_runtime.bus.ownership import LoadReason, Ownership
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import Retryable
from vigie_runtime.logging import redact
from vigie_runtime.metrics import Counter, Gauge, MetricSet, exposition
from vigie_runtime.settings import ReportsSettings, Settings, TenantSettings, ZonesSettings, load
from vigie_storage import mongo

ENVIRONMENT = {
    "KAFKA_BOOTSTRAP_SERVERS": "a:1", "MONGODB_URI": "mongodb://u:hunter2@m", "REDIS_URL": "redis://r",
}  # fmt: skip


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ENVIRONMENT, "VIGIE_PARTITIONS": "7"}.items():
        monkeypatch.setenv(name, value)
    settings = load(Settings)
    assert (settings.kafka_bootstrap_servers, settings.partitions) == ("a:1", 7)
    assert "hunter2" not in repr(settings)


def test_wrong_settings_end_the_process_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**ENVIRONMENT, "VIGIE_PARTITIONS": "many", "REDIS_URL": "http://secret"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MONGODB_URI")
    with pytest.raises(SystemExit) as exit_:
        load(Settings)
    assert exit_.value.code == 2
    said = capsys.readouterr().err
    assert "Set MONGODB_URI (connection string of a MongoDB replica set" in said
    assert "VIGIE_PARTITIONS is not usable" in said
    assert "secret" not in said


def test_topic_and_tenant_have_one_name_for_all_services(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ENVIRONMENT, "VIGIE_SAMPLES_TOPIC": "mine", "VIGIE_DEFAULT_TENANT": "acme"}.items():
        monkeypatch.setenv(name, value)
    settings = load(TenantSettings)
    assert (settings.samples_topic, settings.default_tenant) == ("mine", "acme")


@pytest.mark.parametrize(
    ("text", "zones"),
    [(None, ("UTC",)), ("Europe/Paris, UTC,Europe/Paris", ("Europe/Paris", "UTC"))],
)
def test_days_are_kept_in_the_time_zones_of_the_setting_each_once(
    monkeypatch: pytest.MonkeyPatch, text: str | None, zones: tuple[str, ...]
) -> None:
    for name, value in {**ENVIRONMENT, **({"VIGIE_TELEMETRY_TIMEZONES": text} if text else {})}.items():
        monkeypatch.setenv(name, value)
    assert load(ZonesSettings).zones == zones


@pytest.mark.parametrize("text", ["", "Europe", "UTC,", "../etc/passwd", "UTC,A/B", "UTC,GMT,EET,CET,WET"])
def test_a_zone_that_nobody_knows_or_one_too_many_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    for name, value in {**ENVIRONMENT, "VIGIE_TELEMETRY_TIMEZONES": text}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load(ZonesSettings)
    assert "VIGIE_TELEMETRY_TIMEZONES is not usable" in capsys.readouterr().err


def test_reports_are_kept_for_ninety_days_unless_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert load(ReportsSettings).report_retention_ms == 90 * 24 * 3_600_000
    monkeypatch.setenv("VIGIE_REPORT_RETENTION_DAYS", "7")
    assert load(ReportsSettings).report_retention_ms == 7 * 24 * 3_600_000


@pytest.mark.parametrize("tenant", ["", "a tenant", "a/b", "t" * 200])
def test_a_tenant_that_no_series_could_have_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tenant: str
) -> None:
    for name, value in {**ENVIRONMENT, "VIGIE_DEFAULT_TENANT": tenant}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load(TenantSettings)
    assert "VIGIE_DEFAULT_TENANT is not usable (the tenant of requests that name none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("mongodb://user:p@ss:w/rd@host/?a=b", None),
        ("redis://:pw@h:1/0 and amqp://a:b@c", "redis://***@h:1/0 and amqp://***@c"),
        ("http://host/path?mail=a@b", "http://host/path?mail=a@b"),
        ("no url, a@b", "no url, a@b"),
    ],
)
def test_credentials_of_urls_are_hidden(text: str, clean: str | None) -> None:
    assert redact(text) == clean if clean is not None else "user" not in redact(text)


def test_logs_of_ours_and_of_libraries_are_json_without_credentials(capsys: pytest.CaptureFixture[str]) -> None:
    root = stdlib.getLogger()
    before, level = root.handlers[:], root.level
    try:
        logging.configure("gateway", "info")
        logging.get("vigie.test").info("took %s", "it", samples=3, url="redis://:pw@h")
        stdlib.getLogger("aiokafka.x").error("GroupCoordinatorNotAvailableError: mongodb://a:b@c")
        try:
            raise ValueError("amqp://a:b@c")
        except ValueError:
            logging.get("vigie.test").exception("failed")
    finally:
        root.handlers[:], root.level = before, level
    ours, theirs, failed = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert ours["message"] == "took it"
    assert (ours["service"], ours["level"], ours["samples"], ours["url"]) == ("gateway", "info", 3, "redis://***@h")
    assert ours["timestamp"].endswith("Z")
    assert len(ours["timestamp"]) == len("2026-11-21T09:30:00.123Z")
    assert (theirs["level"], theirs["message"]) == ("warning", "GroupCoordinatorNotAvailableError: mongodb://***@c")
    assert "ValueError: amqp://***@c" in failed["exception"]


class Outcome(StrEnum):
    TAKEN = "taken"
    REFUSED = "refused"


SAMPLES = Counter("vigie_test_samples_total", "samples", "Samples judged.", {"outcome": Outcome})


def test_metrics_exist_at_zero_and_count() -> None:
    metrics = MetricSet([SAMPLES])
    metrics.counter(SAMPLES, outcome=Outcome.TAKEN).inc(5)
    body, content_type = exposition(metrics.registry)
    assert b'vigie_test_samples_total{outcome="taken"} 5.0' in body
    assert b'vigie_test_samples_total{outcome="refused"} 0.0' in body
    assert content_type.startswith("text/plain")


@pytest.mark.parametrize("accept", ["application/openmetrics-text;version=abc", "text/plain;version=1.x", ";;,="])
def test_an_accept_header_of_no_sense_gets_the_metrics_too(accept: str) -> None:
    body, _ = exposition(MetricSet([SAMPLES]).registry, accept)
    assert b"vigie_test_samples_total" in body


def test_undeclared_labels_and_names_are_refused() -> None:
    metrics = MetricSet([SAMPLES])
    with pytest.raises(ValueError, match="has the labels"):
        metrics.counter(SAMPLES)
    with pytest.raises(TypeError, match="takes a Outcome"):
        metrics.counter(SAMPLES, outcome="free text")
    with pytest.raises(ValueError, match="_total"):
        MetricSet([Gauge("vigie_x_total", "x", "X")])


def test_trace_context_crosses_headers_and_bad_headers_are_skipped() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    context = tracing.extract([("traceparent", parent.encode()), ("odd", b"\xff")])
    assert context is not None
    headers: list[tuple[str, bytes]] = []
    tracing.inject(headers, tracing.context_of(context))
    assert dict(headers)["traceparent"] == parent.encode()
    assert tracing.extract([("traceparent", b"\xff\xfe"), ("tracestate", b"x")]) is None
    assert tracing.extract([("traceparent", b"garbage")]) is None


async def test_manual_clock_wakes_sleepers_in_order() -> None:
    clock, woken = ManualClock(), []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleeper(s)) for s in (3, 1, 2)]
    await asyncio.sleep(0)
    clock.advance(2.5)
    await asyncio.sleep(0)
    assert woken == [1, 2]
    clock.advance(1)
    await asyncio.gather(*tasks)


@given(st.lists(st.sampled_from(["fail", "fence"]), min_size=1, max_size=12))
def test_reloads_back_off_within_bounds_and_void_what_was_read(events: list[str]) -> None:
    own = Ownership(random.Random(1))
    own.assign([1, 2], 0.0)
    assert {p for p, _ in own.due(0.0)} == {1, 2}
    own.loaded(1, 10)
    for event in events:
        stamp, other = own.stamps[1], own.stamps[2]
        pause = own.reload(1, LoadReason.RETRY if event == "fail" else LoadReason.FENCED, 100.0)
        assert 0 < pause <= 13
        assert own.stamps[1] != stamp
        assert own.stamps[2] == other
        assert 1 not in own.next
        assert (1, LoadReason.RETRY) not in own.due(100.0)
    own.loaded(1, 10)
    assert own.revoke() == [1, 2], "also what was not loaded yet"
    own.delivered(1, 20)  # was on its way when it was taken away
    assert own.owned == set()


@pytest.mark.parametrize("code", [11601, 237, 43])
def test_owner_whose_session_was_ended_by_the_next_one_loads_again(code: int) -> None:
    assert mongo.passing(OperationFailure("the session was killed", code))
    assert not mongo.passing(OperationFailure("not authorized", 13))


async def test_member_that_knows_of_no_sessions_yet_passes_and_other_configuration_errors_do_not() -> None:
    client: AsyncMongoClient[Any] = AsyncMongoClient("mongodb://127.0.0.1:1/", connect=False)
    async with client, client.start_session() as session:
        starting: Any = SimpleNamespace(supports_sessions=False)
        with pytest.raises(ConfigurationError) as refused:  # pymongo's own words, which may change
            session._apply_to({"find": "reports"}, False, ReadPreference.PRIMARY, starting)
    with pytest.raises(Retryable, match="Sessions are not supported"), mongo.retryable("storing reports"):
        raise refused.value
    assert not mongo.passing(ConfigurationError("Server at localhost:27017 reports wire version 4"))
