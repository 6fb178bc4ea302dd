"""Every sample payload on disk is read by the family that owns it, and every bad one is refused by name."""

import json

import msgspec
import pytest
from vigie_contracts import alerts, checks, commands, reports, samples, targets, topics
from vigie_contracts.payloads import Payload, payloads

JSON_TOPICS = {
    topics.REPORTS.name: reports.Report,
    topics.CHECKS.name: checks.Check,
    topics.RULES.name: alerts.Rule,
    topics.ALERTS.name: alerts.Transition,
    topics.TARGETS.name: targets.Target,
    topics.COMMANDS.name: commands.Command,
}


def named(topic: str) -> list[object]:
    return [pytest.param(topic, p, id=f"{topic}/{p.name}") for p in payloads(topic)]


@pytest.mark.parametrize("payload", payloads(topics.SAMPLES.name), ids=lambda p: p.name)
def test_sample_batches_are_read_or_refused(payload: Payload) -> None:
    if not payload.good:
        with pytest.raises(samples.InvalidBatchError):
            samples.decode(payload.data)
        return
    batch = samples.decode(payload.data)
    assert len(batch) > 0
    again = samples.decode(samples.encode(batch))
    assert (again.timestamps == batch.timestamps).all()
    assert (again.values == batch.values).all()
    assert again.keys == batch.keys


@pytest.mark.parametrize(("topic", "payload"), [case for topic in JSON_TOPICS for case in named(topic)])
def test_json_messages_are_read_or_refused(topic: str, payload: Payload) -> None:
    if not payload.good:
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(payload.data, type=JSON_TOPICS[topic])
        return
    message = msgspec.json.decode(payload.data, type=JSON_TOPICS[topic])
    written = msgspec.json.decode(msgspec.json.encode(message))
    stored = json.loads(payload.data)
    assert {k: v for k, v in stored.items() if k in written} == written


def test_a_family_without_payloads_is_an_error() -> None:
    with pytest.raises(LookupError):
        payloads("vigie.nothing.v1")
