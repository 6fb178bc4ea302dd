"""The client against a real HTTP server: what arrives, when, and what never harms the application."""

import asyncio
import logging
import math
import time
from collections.abc import Iterator
from threading import Event, Thread

import pytest
from vigie_client import AsyncClient, Client
from vigie_standalone.embedded.ports import free_port

from tests.kit import eventually, eventually_sync


@pytest.fixture
def client(server) -> Iterator[Client]:
    made = Client(server.url, service="booking", interval=60, handle_sigterm=False, timeout=2)
    yield made
    made.stop(0.1)


def test_with_block_sends_everything_at_its_end(server) -> None:
    with Client(server.url, service="booking", labels={"zone": 1}) as client:
        client.counter("bookings_total")
        client.counter("bookings_total", 2)
        client.gauge("queue_length", 7, {"queue": "mail"})
        client.histogram("latency_seconds", 0.25)
        client.histogram("latency_seconds", 0.75)
        with client.timer("block_seconds"):
            pass
    sums = server.sums()
    assert sums["bookings_total", "booking", "1"] == 3
    assert sums["queue_length", "mail", "booking", "1"] == 7
    assert sums["latency_seconds", "booking", "1"] == 1.0
    assert 0 <= sums["block_seconds", "booking", "1"] < 1
    assert {item["type"] for item in server.counted} == {"counter", "gauge", "histogram"}
    stats = client.stats()
    assert (stats.buffered, stats.accepted, stats.refused, stats.dropped) == (0, 5, 0, {})


def test_request_is_compressed_keyed_and_authorised(server) -> None:
    with Client(server.url, api_key="vk_secret") as client:
        for i in range(100):
            client.histogram("h", i)
    [request] = server.received
    assert request.path == "/api/metrics/batch"
    assert request.headers["content-encoding"] == "gzip"
    assert len(request.headers["idempotency-key"]) == 32
    assert request.headers["authorization"] == "Bearer vk_secret"
    assert request.headers["user-agent"].startswith("vigie-client/")


def test_address_and_key_come_from_the_environment(server, monkeypatch) -> None:
    monkeypatch.setenv("VIGIE_URL", server.url + "/")
    monkeypatch.setenv("VIGIE_API_KEY", "from-environment")
    with Client() as client:
        client.counter("c")
    assert server.received[0].headers["authorization"] == "Bearer from-environment"


def test_sending_is_periodic_between_start_and_stop(server) -> None:
    client = Client(server.url, interval=0.05, handle_sigterm=False)
    client.counter("c")
    assert server.received == []
    client.start()
    client.start()
    for n in range(1, 4):
        eventually_sync(lambda n=n: server.sums()["c",] == n)
        client.counter("c")
    assert client.stop()
    assert server.sums()["c",] == 4
    client.counter("c")
    assert client.stats().buffered == 1
    client.start()
    eventually_sync(lambda: server.sums()["c",] == 5)
    client.stop()


def test_flush_works_without_start(server, client: Client) -> None:
    client.counter("c")
    assert client.flush()
    client.counter("c")
    assert client.flush()
    assert server.sums()["c", "booking"] == 2


def test_flush_returns_while_others_go_on_recording(server, client: Client) -> None:
    client.start()
    ended: list[bool] = []
    busy = Thread(target=lambda: [client.histogram("h", 1) for _ in iter(lambda: bool(ended), True)])
    busy.start()
    client.counter("c", 5)
    assert client.flush()
    assert server.sums()["c", "booking"] == 5
    ended.append(True)
    busy.join()


def test_full_request_is_sent_before_the_interval_is_over(server) -> None:
    client = Client(server.url, interval=60, max_batch=50, handle_sigterm=False)
    client.start()
    assert client.flush()
    for i in range(60):
        client.histogram("h", i)
    eventually_sync(lambda: len(server.counted) >= 50)
    client.stop()
    assert len(server.counted) == 60


@pytest.mark.parametrize("how", ["drop before", "drop after"])
def test_cut_connection_neither_loses_nor_doubles(server, client: Client, how: str) -> None:
    server.script.extend([how, how])
    client.counter("c", 7)
    assert client.flush(20)
    assert server.sums()["c", "booking"] == 7
    assert len({request.headers["idempotency-key"] for request in server.received}) == 1
    assert client.stats().retries == len(server.received) - 1 >= 1


def test_retry_after_is_waited_for(server, client: Client) -> None:
    server.script.append((503, {"retry-after": "1"}, {"detail": "busy"}))
    client.counter("c")
    began = time.monotonic()
    assert client.flush(20)
    assert time.monotonic() - began >= 1


def test_start_after_a_stop_that_ran_out_of_time_waits_for_the_attempt_under_way(server) -> None:
    go_on = Event()
    server.judge = lambda item: None if go_on.wait(20) else "never"
    client = Client(server.url, interval=60, timeout=30, handle_sigterm=False)
    client.counter("c", 3)
    client.start()
    eventually_sync(lambda: len(server.received) == 1)
    assert client.stop(0) is False
    client.counter("c", 4)
    client.start()
    go_on.set()
    assert client.flush()
    assert client.stop()
    assert server.sums()["c",] == 7
    assert (client.stats().requests, client.stats().retries) == (2, 0)


def test_refused_item_does_not_take_its_neighbours_with_it(server, client: Client, caplog) -> None:
    server.judge = lambda item: "must start with a letter" if item["name"].startswith("1") else None
    client.counter("1bad")
    client.counter("good")
    assert client.flush()
    assert server.names() == {"good"}
    assert (client.stats().accepted, client.stats().refused) == (1, 1)
    assert "must start with a letter" in caplog.text


def test_server_that_is_away_costs_neither_time_nor_memory() -> None:
    client = Client(f"http://127.0.0.1:{free_port()}", interval=0.05, max_buffered=100, exit_timeout=0.2)
    with client:
        began = time.perf_counter()
        for i in range(10_000):
            client.histogram("h", i)
        assert time.perf_counter() - began < 2
        assert client.flush(0.3) is False
    stats = client.stats()
    assert stats.buffered == 100
    assert stats.dropped == {"buffer_full": 9_900}
    assert stats.accepted == 0


def test_drops_of_an_outage_are_reported_after_it(server) -> None:
    with Client(server.url, max_buffered=10, interval=60) as client:
        client.flush()
        for i in range(25):
            client.histogram("h", i)
    assert server.sums()["vigie_client_dropped_samples_total", "buffer_full"] == client.stats().dropped["buffer_full"]


class Hostile:
    def __float__(self) -> float:
        raise RuntimeError("no")

    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("name", "value", "labels"),
    [
        ("c", math.nan, None),
        ("c", "3", None),
        ("c", None, None),
        ("c", Hostile(), None),
        (3, 1, None),
        (None, 1, None),
        (["c"], 1, None),
        ("c", 1, {"a": ["b"]}),
        ("c", 1, {3: "b"}),
        ("c", 1, {None: "b"}),
        ("c", 1, "labels"),
        ("c", 1, 7),
        (Hostile(), 1, None),
    ],
)
def test_nonsense_is_counted_and_raises_nothing(client: Client, name, value, labels) -> None:
    client.gauge(name, value, labels)
    assert (client.stats().invalid, client.stats().buffered) == (1, 0)


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "localhost:3000"},
        {"url": "ftp://x"},
        {"url": "http://"},
        {"url": "http://user:word@x"},
        {"url": "http://x?a=b"},
        {"interval": 0},
        {"interval": math.nan},
        {"timeout": -1},
        {"max_batch": 10_001},
        {"max_buffered": 1},
        {"api_key": "two words"},
        {"api_key": "new\nline"},
        {"labels": {"a": []}},
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(settings) -> None:
    with pytest.raises(ValueError, match=r"."):
        Client(**settings)


def test_key_is_in_no_log_and_no_representation(server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.script.append(401)
    client = Client(server.url, api_key="vk_secret_word", exit_timeout=0.5)
    with client:
        client.counter("c")
        client.flush(0.5)
    assert "vk_secret_word" not in caplog.text + repr(client) + repr(vars(client)["_transport"])


def test_end_within_the_pause_after_a_wrong_key_asks_no_more_and_does_not_wait(
    server, caplog: pytest.LogCaptureFixture
) -> None:
    server.script.extend([401, 401])
    client = Client(server.url, exit_timeout=30, handle_sigterm=False)
    with client:
        client.counter("refused")
        assert client.flush(5)
        client.counter("left")
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert (len(server.received), client.stats().dropped, client.stats().buffered) == (1, {"unauthorized": 1}, 1)
    assert "1 samples were left unsent" in caplog.text


def test_collector_that_fails_stops_nothing(server) -> None:
    def broken() -> None:
        raise RuntimeError("no")

    client = Client(server.url, interval=0.02, handle_sigterm=False)
    client.add_collector(broken)
    client.add_collector(lambda: client.counter("collected"))
    client.start()
    eventually_sync(lambda: server.sums()["collected",] >= 3)
    client.stop()


def test_recording_costs_microseconds(client: Client) -> None:
    """A bound that a busy machine keeps too: the best of many short rounds."""
    labels, best = {"endpoint": "/users/{id}", "method": "GET", "status": "200"}, math.inf
    for _ in range(200):
        began = time.perf_counter()
        for _ in range(100):
            client.counter("c", 1, labels)
        best = min(best, (time.perf_counter() - began) / 100)
    assert best < 20e-6


async def test_event_loop_goes_on_while_a_server_hangs(server) -> None:
    server.script.extend([(503, {"retry-after": "1"}, {})] * 2)
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0.01)  # what is measured is that this goes on

    beating = asyncio.create_task(beat())
    async with AsyncClient(server.url, interval=60) as client:
        for i in range(20_000):
            client.histogram("h", i)
        assert await client.aflush(20)
    beating.cancel()
    assert beats > 20
    assert len(server.counted) == 20_000
    await eventually(lambda: client.stats().buffered == 0)
    assert await client.astop()
