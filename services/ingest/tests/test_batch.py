"""POST /api/metrics/batch: each item is judged alone."""

import json
from typing import Any

import pytest

PATH = "/api/metrics/batch"


def item(i: int = 0, **more: Any) -> dict[str, Any]:
    return {"name": f"m_{i % 7}", "type": "gauge", "value": i, "labels": {"i": str(i)}, **more}


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"metrics": x}], ids=["bare", "wrapped"])
async def test_batch_is_published_in_one_call(gateway: Any, wrap: Any) -> None:
    reply = await gateway.post(PATH, wrap([item(i) for i in range(500)]))
    assert reply.status == 201
    assert reply.json == {
        "success": True,
        "accepted": 500,
        "rejected": 0,
        "message": "500 metrics recorded",
        "errors": [],
    }
    assert gateway.publisher.calls == 1
    assert [value for _, _, value, _ in gateway.publisher.sent] == [float(i) for i in range(500)]


BAD_ITEMS: dict[str, tuple[bytes, str]] = {
    "nan": (b'{"name":"x","type":"gauge","value":NaN}', "value"),
    "infinity": (b'{"name":"x","type":"gauge","value":-Infinity}', "value"),
    "huge": (b'{"name":"x","type":"gauge","value":1e999}', "value"),
    "bool": (b'{"name":"x","type":"gauge","value":true}', "value"),
    "text": (b'{"name":"x","type":"gauge","value":"1"}', "value"),
    "negative counter": (b'{"name":"x","type":"counter","value":-1}', "value"),
    "no name": (b'{"type":"gauge","value":1}', "name"),
    "bad name": (b'{"name":"a b","type":"gauge","value":1}', "name"),
    "bad type": (b'{"name":"x","type":"t","value":1}', "type"),
    "old": (b'{"name":"x","type":"gauge","value":1,"timestamp":5}', "timestamp"),
    "text time": (b'{"name":"x","type":"gauge","value":1,"timestamp":"now"}', "timestamp"),
    "labels": (b'{"name":"x","type":"gauge","value":1,"labels":[1]}', "labels"),
    "not utf-8": (b'{"name":"\xff","type":"gauge","value":1}', "item"),
    "label not utf-8": (b'{"name":"x","type":"gauge","value":1,"labels":{"a":"\xff"}}', "labels"),
    "surrogate": (b'{"name":"\\ud800","type":"gauge","value":1}', "item"),
    "label surrogate": (b'{"name":"x","type":"gauge","value":1,"labels":{"a":"\\ud800"}}', "item"),
    "number": (b"5", "item"),
    "null": (b"null", "item"),
    "list": (b"[]", "item"),
    "digits": (b'{"name":"x","type":"gauge","value":%s}' % (b"9" * 6000), "value"),
}


@pytest.mark.parametrize("wrapped", [True, False], ids=["wrapped", "bare"])
@pytest.mark.parametrize(("bad", "field"), BAD_ITEMS.values(), ids=BAD_ITEMS)
async def test_neighbours_of_a_bad_item_are_kept(gateway: Any, bad: bytes, field: str, wrapped: bool) -> None:
    good = [json.dumps(item(i)).encode() for i in range(3)]
    body = b"[" + b" , ".join([good[0], bad, good[1], bad, good[2]]) + b"]"
    reply = await gateway.post(PATH, b'{ "metrics" : %s, "by":"me" }' % body if wrapped else body)
    assert reply.status == 201, reply.body
    assert (reply.json["accepted"], reply.json["rejected"]) == (3, 2)
    assert [error["index"] for error in reply.json["errors"]] == [1, 3]
    assert {error["field"] for error in reply.json["errors"]} == {field}
    assert [value for _, _, value, _ in gateway.publisher.sent] == [0.0, 1.0, 2.0]


async def test_batch_of_only_bad_items_is_a_problem_that_lists_them(gateway: Any) -> None:
    reply = await gateway.post(PATH, [item(i, value="x") for i in range(250)])
    assert reply.status == 400
    assert reply.json["type"] == "/problems/invalid-request"
    assert len(reply.json["errors"]) == 100
    assert "none of the 250 metrics" in reply.json["detail"]
    assert gateway.metric("vigie_ingest_items_rejected_total", route=PATH, reason="field") == 250


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[]", "the list is empty"),
        (b'{"metrics":[]}', "the list is empty"),
        (b"{}", "must be a list"),
        (b'{"metrics":{}}', "metrics: must be a list"),
        (b'{"metrics":null}', "metrics: must be a list"),
        (b'{"metrics":[],"metrics":[]}', "the list is empty"),
        (b'{"metrics":[1],"metrics":[2]}', "twice"),
        (b"", "empty"),
        (b"5", "must be a list"),
        (b"[", "ends too early"),
        (b'[{"name":"a"}', "not valid JSON"),
        (b'[{"name":"a"},]', "railing comma"),
        (b"[1 2]", "not valid JSON"),
        (b"[1]x", "not valid JSON"),
        (b"{1:2}", "not valid JSON"),
        (b'{"a" 2}', "not valid JSON"),
        (b"\xef\xbb\xbf[]", "byte order mark"),
        (b"[" * 200_000, "nested too deeply"),
        (b"\xff\xfe", "not valid JSON"),
    ],
)
async def test_body_that_is_no_list_is_refused(gateway: Any, body: bytes, said: str) -> None:
    reply = await gateway.post(PATH, body)
    assert reply.status == 400, reply.body
    assert said in reply.json["detail"]


async def test_ten_thousand_items_are_taken_and_one_more_is_not(gateway: Any) -> None:
    small = {"name": "a", "type": "gauge", "value": 1}
    assert (await gateway.post(PATH, [small] * 10_000)).json["accepted"] == 10_000
    for body in ([small] * 10_001, [0] * 10_001, {"metrics": [small] * 40_000}):
        reply = await gateway.post(PATH, body)
        assert reply.status == 413, reply.body
        assert "10000" in reply.json["detail"]


async def test_bad_items_register_no_series(gateway: Any) -> None:
    await gateway.post(PATH, [item(1), item(2, timestamp=5), item(3, type="counter", value=-1)])
    assert [key.labels for key in gateway.catalogue.asked] == [(("i", "1"),)]


async def test_mixed_and_absent_timestamps_are_all_understood(gateway: Any, now_ms: int) -> None:
    stamps = [None, now_ms - 5, "2026-09-21T14:13:20Z"]
    await gateway.post(PATH, [item(i, timestamp=stamp) for i, stamp in enumerate(stamps)])
    assert [ts for _, ts, _, _ in gateway.publisher.sent] == [now_ms, now_ms - 5, now_ms]


async def test_one_new_series_of_many_items_is_asked_for_once(gateway: Any) -> None:
    await gateway.post(PATH, [item(1)] * 50)
    assert len(gateway.catalogue.asked) == 1
    assert len(gateway.publisher.sent) == 50


async def test_series_forgotten_by_the_young_cache_is_found_again(gateway: Any) -> None:
    known = gateway.resources.pipeline.series._known
    known._half = 10
    await gateway.post(PATH, [item(i) for i in range(15)])
    calls = gateway.catalogue.calls
    assert (await gateway.post(PATH, [item(i) for i in range(6, 15)])).json["accepted"] == 9
    assert gateway.catalogue.calls == calls
    assert len(known) <= 20
