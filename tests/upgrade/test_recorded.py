"""What the last release wrote is read by today's code, and what today's code writes of it holds all that was in it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from bson import json_util
from vigie_alerting.alert import Alert
from vigie_alerting.escalation.escalations import Running
from vigie_contracts import alerts, checks, commands, decisions, latest, reports, samples, targets, topics
from vigie_contracts.tiers import TIERS
from vigie_storage import collections
from vigie_storage.alerts.groups import Group, Member
from vigie_storage.health.states import TargetState
from vigie_storage.partitions import document as partitions
from vigie_storage.series import document as series
from vigie_windows import chunks

from tests.upgrade.base import commit
from tests.upgrade.reads import missing
from tests.upgrade.record import DOCUMENTS, MESSAGES, RECORDED

_MESSAGES: dict[str, Any] = json.loads((RECORDED / MESSAGES).read_text(encoding="utf-8"))
_DOCUMENTS: dict[str, Any] = json_util.loads(
    (RECORDED / DOCUMENTS).read_text(encoding="utf-8"), json_options=json_util.CANONICAL_JSON_OPTIONS
)
COMMITS = {_MESSAGES.pop("commit"), _DOCUMENTS.pop("commit")}
TYPES: dict[str, Any] = {
    topics.REPORTS.word: reports.Report,
    topics.CHECKS.word: checks.Check,
    topics.RULES.word: alerts.Rule,
    topics.TARGETS.word: targets.Target,
    topics.ALERTS.word: alerts.Transition,
    topics.COMMANDS.word: commands.Command,
}
"""What a record of a topic is, as JSON."""
JSON: dict[str, Any] = {
    "alert_transitions": alerts.Transition,
    "alert_outbox": list[alerts.Transition],
    "alert_rules": alerts.Rule,
    "alert_rule_versions": alerts.Rule,
    "alert_decisions": decisions.Decision,
    "alert_escalations": Running,
    "health_targets": targets.Target,
    "health_states": TargetState,
    "health_checks": checks.Check,
}
"""What is in `data` of a document, as JSON; of the outbox there is a list of such texts."""
MSGPACK: dict[str, Any] = {"alerts": Alert, "alert_groups": Group, "alert_group_members": Member}


def each(recorded: dict[str, Any], names: Any) -> list[Any]:
    """One case for each of what was recorded of these."""
    return [
        pytest.param(name, one, id=f"{name}-{number}")
        for name in sorted(names)
        for number, one in enumerate(recorded.get(name, ()))
    ]


def test_recordings_are_of_the_last_release() -> None:
    assert {commit()} == COMMITS, "run make recordings"


def test_every_topic_and_collection_of_the_last_release_is_known_today() -> None:
    known = {one.word for one in topics.TOPICS}
    assert {topics.SAMPLES.word, topics.REPORTS.word, topics.CHECKS.word, topics.RULES.word} <= set(_MESSAGES) <= known
    named = {one.name for one in vars(collections).values() if isinstance(one, collections.Collection)}
    assert set(_DOCUMENTS) - {collections.windows(tier).name for tier in TIERS} <= named
    assert {"series", "partitions", "latest", "windows_10s", *MSGPACK, *JSON} - set(_DOCUMENTS) == set()


@pytest.mark.parametrize(("topic", "record"), each(_MESSAGES, TYPES))
def test_messages_are_read_and_written_with_all_they_had(topic: str, record: dict[str, Any]) -> None:
    value = base64.b64decode(record["value"])
    message = msgspec.json.decode(value, type=TYPES[topic])
    assert missing(json.loads(value), json.loads(msgspec.json.encode(message))) == []


@pytest.mark.parametrize(("topic", "record"), each(_MESSAGES, {topics.SAMPLES.word}))
def test_sample_batches_are_read_and_written_with_all_they_had(topic: str, record: dict[str, Any]) -> None:
    assert topic == topics.SAMPLES.word
    value = base64.b64decode(record["value"])
    batch = samples.decode(value)
    assert len(batch) > 0
    again = samples.encode(batch)
    assert value[:1] == again[:1]
    before, after = (msgspec.msgpack.decode(data[1:]) for data in (value, again))
    assert missing(before, after) == []


@pytest.mark.parametrize(("topic", "record"), each(_MESSAGES, _MESSAGES))
def test_records_have_the_headers_that_readers_go_by(topic: str, record: dict[str, Any]) -> None:
    assert {"ce_id", "ce_type", "ce_source"} <= set(record["headers"]), topic


@pytest.mark.parametrize(("collection", "document"), each(_DOCUMENTS, JSON))
def test_documents_with_json_are_read_and_written_with_all_they_had(collection: str, document: dict[str, Any]) -> None:
    data = document["data"]
    text = f"[{','.join(data)}]" if isinstance(data, list) else data
    value = msgspec.json.decode(text, type=JSON[collection])
    assert missing(json.loads(text), json.loads(msgspec.json.encode(value))) == []


@pytest.mark.parametrize(("collection", "document"), each(_DOCUMENTS, MSGPACK))
def test_documents_with_msgpack_are_read_and_written_with_all_they_had(
    collection: str, document: dict[str, Any]
) -> None:
    value = msgspec.msgpack.decode(document["data"], type=MSGPACK[collection])
    before, after = (msgspec.msgpack.decode(data) for data in (document["data"], msgspec.msgpack.encode(value)))
    assert missing(before, after) == []


@pytest.mark.parametrize("tier", TIERS, ids=lambda tier: tier.name)
def test_windows_are_read_whole(tier: Any) -> None:
    for document in _DOCUMENTS[collections.windows(tier).name]:
        place = document["_id"]
        cells = chunks.decode_many([(place["c"], place["w"], document)], tier.width_ms)
        assert len(cells.rows) == document["n"]
        assert (cells.count > 0).all()
        assert (cells.min <= cells.max).all()


PARSED: dict[str, Callable[[Any], Any]] = {
    "series": series.parse,
    "partitions": partitions.parse,
    "latest": lambda document: latest.unpack(bytes(document["data"])),
}


@pytest.mark.parametrize(("collection", "document"), each(_DOCUMENTS, PARSED))
def test_documents_of_counting_are_read(collection: str, document: dict[str, Any]) -> None:
    assert PARSED[collection](document)


@pytest.mark.parametrize(("collection", "document"), each(_DOCUMENTS, {"series"}))
def test_series_are_written_with_all_they_had(collection: str, document: dict[str, Any]) -> None:
    again = series.document(document["tenant"], series.parse(document))
    plain = {name: value for name, value in document.items() if name not in ("created", "business")}
    assert missing(plain, again) == [], collection


@pytest.mark.parametrize(("collection", "document"), each(_DOCUMENTS, {"partitions"}))
def test_partitions_are_written_with_all_they_had(collection: str, document: dict[str, Any]) -> None:
    again = partitions.fields(partitions.parse(document))
    plain = {name: value for name, value in document.items() if name not in ("_id", "updated", "corrections")}
    assert missing(plain, again) == [], collection
