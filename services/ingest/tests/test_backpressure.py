"""Kafka, MongoDB and Redis slow or away: what still works, and what senders are told."""

import asyncio
from typing import Any

import pytest
from vigie_runtime.errors import BufferFull, BusUnavailable

PATH = "/api/metrics/custom"


async def test_full_buffer_is_503_with_retry_after(gateway: Any) -> None:
    gateway.publisher.fail = BufferFull(10, 10)
    reply = await gateway.custom(name="m", type="gauge", value=1)
    assert reply.status == 503
    assert reply.headers["retry-after"] == str(reply.json["retry_after"])
    assert "nothing of this request was taken" in reply.json["detail"]


@pytest.mark.parametrize(
    ("headers", "said"), [({}, "may count twice"), ({"idempotency-key": "k"}, "cannot be counted")]
)
async def test_missing_acknowledgement_says_that_the_outcome_is_unknown(
    gateway: Any, headers: dict[str, str], said: str
) -> None:
    gateway.publisher.fail = BusUnavailable("late")
    reply = await gateway.post(PATH, {"name": "m", "type": "gauge", "value": 1}, headers)
    assert reply.status == 503
    assert "outcome is unknown" in reply.json["detail"]
    assert said in reply.json["detail"]


async def test_catalogue_away_fails_new_series_only(gateway: Any) -> None:
    assert (await gateway.custom(name="known", type="gauge", value=1)).status == 201
    gateway.catalogue.away = True
    reply = await gateway.custom(name="new", type="gauge", value=1)
    assert reply.status == 503
    assert reply.json["type"] == "/problems/store-unavailable"
    assert (await gateway.custom(name="known", type="gauge", value=2)).status == 201
    gateway.catalogue.away = False
    assert (await gateway.custom(name="new", type="gauge", value=1)).status == 201


async def test_catalogue_that_never_answers_costs_a_bounded_wait(gateway: Any) -> None:
    assert (await gateway.custom(name="known", type="gauge", value=1)).status == 201
    gateway.catalogue.hang = True
    waiting = [asyncio.create_task(gateway.custom(name=f"new{i}", type="gauge", value=1)) for i in range(20)]
    await asyncio.sleep(0)
    assert (await gateway.custom(name="known", type="gauge", value=2)).status == 201
    assert {reply.status for reply in await asyncio.gather(*waiting)} == {503}
    assert gateway.catalogue.calls == 2


async def test_batch_with_one_new_series_takes_nothing_when_the_catalogue_is_away(gateway: Any) -> None:
    known = {"name": "known", "type": "gauge", "value": 1}
    await gateway.custom(**known)
    gateway.catalogue.away = True
    assert (await gateway.post("/api/metrics/batch", [known, {**known, "name": "new"}])).status == 503
    assert len(gateway.publisher.sent) == 1


async def test_new_series_of_many_requests_share_calls(gateway: Any) -> None:
    replies = await asyncio.gather(*(gateway.custom(name=f"m{i % 50}", type="gauge", value=1) for i in range(200)))
    assert {reply.status for reply in replies} == {201}
    assert gateway.catalogue.calls <= 3
    assert len(gateway.catalogue.asked) == 50


async def test_series_over_the_limit_is_refused_and_not_asked_for_each_time(gateway: Any) -> None:
    gateway.catalogue.limit = 1
    assert (await gateway.custom(name="first", type="gauge", value=1)).status == 201
    for _ in range(5):
        reply = await gateway.custom(name="second", type="gauge", value=1)
        assert reply.status == 403
        assert reply.json["type"] == "/problems/limit-reached"
    assert gateway.catalogue.calls == 2
    gateway.catalogue.limit = 2
    gateway.clock.advance(60)
    assert (await gateway.custom(name="second", type="gauge", value=1)).status == 201


async def test_a_refusal_for_the_limit_names_the_label_that_explodes(gateway: Any) -> None:
    gateway.catalogue.limit = 1
    gateway.explainer.text = "label user_id of m has 9,214 different values"
    assert (await gateway.custom(name="first", type="gauge", value=1)).status == 201
    said = "the tenant has all its 1 series, and this one is new; label user_id of m has 9,214 different values"
    for _ in range(3):
        reply = await gateway.custom(name="m", type="gauge", value=1, labels={"user_id": 7})
        assert (reply.status, reply.json["detail"]) == (403, said)
    assert gateway.explainer.asked == [("default", "m")], "what was refused is remembered with its reason"
    batch = [{"name": f"m{n % 9}", "type": "gauge", "value": 1, "labels": {"n": n}} for n in range(90)]
    reply = await gateway.post("/api/metrics/batch", batch)
    assert len(gateway.explainer.asked) == 4, "a batch of many metrics has only some looked into"
    reasons = [error["reason"] for error in reply.json["errors"]]
    assert sum(reason == said for reason in reasons) == 30


async def test_batch_reports_the_limit_per_item(gateway: Any) -> None:
    gateway.catalogue.limit = 2
    reply = await gateway.post("/api/metrics/batch", [{"name": f"m{i}", "type": "gauge", "value": i} for i in range(4)])
    assert (reply.json["accepted"], reply.json["rejected"]) == (2, 2)
    assert [error["index"] for error in reply.json["errors"]] == [2, 3]
    assert gateway.metric("vigie_ingest_items_rejected_total", route="/api/metrics/batch", reason="limit") == 2
