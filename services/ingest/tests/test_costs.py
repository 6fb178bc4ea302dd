"""Small requests that unpack to much: what they cost is bounded, and others are served meanwhile."""

import gzip
import json
import threading
import tracemalloc
from typing import Any

import pytest
from vigie_ingest import bodies, decoding, items
from vigie_ingest.errors import ItemTooLongError, MalformedBodyError, RequestError
from vigie_publishing.series.resolver import MAX_RAW_LABELS_BYTES

PATH = "/api/metrics/batch"
GZIP = {"content-encoding": "gzip"}
LISTS = b"[" + b"[]," * 1_500_000 + b"[]]"
"""4.5 MB of JSON that Python would need 100 MB for."""


def metric(labels: bytes, name: bytes = b"m") -> bytes:
    return b'{"name":"%s","type":"gauge","value":1,"labels":%s}' % (name, labels)


def padded(length: int) -> bytes:
    return b"{" + b" " * (length - 2) + b"}"


def peak(work: Any) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "labels",
    [padded(MAX_RAW_LABELS_BYTES + 1), b'{"a":' + b"9" * MAX_RAW_LABELS_BYTES + b"}", b'{"a":' + LISTS + b"}"],
    ids=["space", "a number", "lists"],
)
async def test_labels_longer_than_any_good_ones_are_refused_and_forgotten(gateway: Any, labels: bytes) -> None:
    reply = await gateway.post("/api/metrics/custom", metric(labels))
    assert reply.status == 400
    assert reply.json["errors"][0]["field"] == "labels"
    reply = await gateway.post(PATH, b"[" + metric(labels) + b"," + metric(b"{}") + b"]")
    assert (reply.status, reply.json["accepted"], reply.json["errors"][0]["field"]) == (201, 1, "labels")
    finder = gateway.resources.pipeline.series
    assert [len(identity[-1]) for identity in finder._known.young] == [2]


async def test_labels_just_short_enough_are_taken(gateway: Any) -> None:
    body = metric(padded(MAX_RAW_LABELS_BYTES))
    assert (await gateway.post("/api/metrics/custom", body)).status == 201
    assert (await gateway.post(PATH, b"[" + body + b"]")).status == 201


@pytest.mark.parametrize(
    "body",
    [b'{"extra":' + LISTS + b',"metrics":[1]}', b"[" + LISTS + b"]", b'{"' + b"x" * 4_000_000 + b'":1}'],
    ids=["unknown member", "item", "name of a member"],
)
def test_what_is_too_long_to_be_an_item_is_not_built(body: bytes) -> None:
    def refuse() -> None:
        with pytest.raises(ItemTooLongError):
            items.cut(body, "metrics")

    assert peak(refuse) < len(body) + 15_000_000


@pytest.mark.parametrize("length", [1_000, 1_020, 1_024, 1_025, 2_000, 200_000])
@pytest.mark.parametrize("end", [b"1", b"-Infinity", b'"\\u00e9"', b'"\xc3\xa9"', b"[]", b"12.5e3"])
def test_items_around_the_first_look_are_cut_whole(length: int, end: bytes) -> None:
    long = b"[" + b" " * (length - len(end) - 2) + end + b"]"
    bare = b'"' + b"x" * (length - 2) + b'"'
    number = b"1" * length
    assert items.cut(b"[" + b",".join([long, end, bare, number]) + b"]", None) == ([long, end, bare, number], [])


@pytest.mark.parametrize("before", [10, 1_000, 1_015, 1_024, 5_000])
def test_an_error_behind_the_first_look_names_its_byte(before: int) -> None:
    with pytest.raises(MalformedBodyError, match=rf"\(byte {before + 2}\)"):
        items.cut(b"[[" + b" " * before + b"?]]", None)


def test_an_unreadable_item_is_not_searched_beyond_the_error() -> None:
    hole = b'{"name":"m","type":"gauge","value":NaN,"x":"' + b"y" * 3_000_000 + b'"}'
    with pytest.raises(RequestError, match="value: must be a finite number"):
        decoding.decode_metric(hole)
    far = b'{"name":"m", ?' + b'"a":' * 1_000_000 + b"NaN}"
    with pytest.raises(MalformedBodyError, match="not valid JSON"):
        decoding.decode_metric(far)


async def test_what_unpacks_to_much_is_unpacked_and_decoded_beside_the_loop(
    gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[threading.Thread]] = {"decompress": [], "cut": []}
    for module, name in ((bodies, "decompress"), (items, "cut")):
        original = getattr(module, name)

        def spy(*args: Any, original: Any = original, name: str = name) -> Any:
            seen[name].append(threading.current_thread())
            return original(*args)

        monkeypatch.setattr(module, name, spy)
    large = gzip.compress(b'[1,"' + b"x" * 200_000 + b'"' + b" " * 4_000_000 + b"]")
    assert len(large) < 8_000
    assert (await gateway.post(PATH, large, GZIP)).status == 400
    main = threading.main_thread()
    assert seen["decompress"][-1] is not main
    assert [thread is main for thread in seen["cut"]] == [False]

    seen["decompress"].clear()
    usual = gzip.compress(json.dumps([{"name": "m", "type": "gauge", "value": 1}] * 500).encode())
    assert (await gateway.post(PATH, usual, GZIP)).status == 201
    assert seen["decompress"] == [main]
