"""One request at a time, repeated with its key and its bytes until its outcome is certain."""

import json
from collections import deque
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_client.backoff import Backoff
from vigie_client.buffer import Buffer
from vigie_client.sender import MAX_FAILURES, REPEATABLE_S, UNAUTHORIZED_S, Sender
from vigie_client.tally import DROPPED_METRIC, Dropped, Tally
from vigie_client.transport import HttpFailure, HttpResponse
from vigie_client.values import MetricType

UNSENT, LOST = HttpFailure("ConnectError: refused", sent=False), HttpFailure("ReadTimeout: no answer", sent=True)


def answer(status: int, body: object = None, **headers: str) -> HttpResponse:
    return HttpResponse(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode()
    )


class Gateway:
    """Says what the script says (True: takes all) and keeps what was posted."""

    def __init__(self, *script: object) -> None:
        self.script = deque(script)
        self.posted: list[tuple[str, bytes, float]] = []

    def post(self, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> HttpResponse | HttpFailure:
        assert path == "/api/metrics/batch"
        self.posted.append((headers["idempotency-key"], body, timeout))
        told = self.script.popleft() if self.script else True
        if isinstance(told, HttpResponse | HttpFailure):
            return told
        return answer(201, {"accepted": len(json.loads(body)), "rejected": 0, "errors": []})

    def close(self) -> None: ...

    def values(self) -> list[list[float]]:
        return [[item["value"] for item in json.loads(body)] for _, body, _ in self.posted]


class Bench:
    def __init__(self, *script: object, samples: int = 3, limit: int = 100, max_batch: int = 10) -> None:
        self.now = 1000.0
        self.tally = Tally(lambda: self.now)
        self.buffer = Buffer(limit, self.tally)
        self.gateway = Gateway(*script)
        self.sender = Sender(
            self.buffer,
            self.tally,
            self.gateway,
            max_batch=max_batch,
            timeout=10,
            backoff=Backoff(lambda low, high: low),
            monotonic=lambda: self.now,
        )
        self.add(samples)

    def add(self, count: int) -> None:
        for i in range(count):
            self.buffer.add(MetricType.HISTOGRAM, "h", {}, i)

    def run(self, attempts: int = 1000) -> None:
        """Advance the clock to each attempt in turn until nothing waits."""
        while len(self.gateway.posted) < attempts and (wait := self.sender.advance()) is not None:
            self.now += wait


def test_accepted_request_is_done_with() -> None:
    bench = Bench(samples=25)
    bench.run()
    assert [len(values) for values in bench.gateway.values()] == [10, 10, 5]
    assert len({key for key, _, _ in bench.gateway.posted}) == 3
    assert bench.tally.stats(len(bench.buffer)).accepted == 25
    assert bench.sender.advance() is None


@pytest.mark.parametrize(
    "told", [UNSENT, LOST, *(answer(code) for code in (301, 404, 408, 409, 425, 429, 500, 502, 503, 504))]
)
def test_repeat_has_the_same_key_and_the_same_bytes(told) -> None:
    bench = Bench(told, told, told)
    bench.run(2)
    bench.add(5)  # what is recorded meanwhile goes with the next request
    bench.run()
    *repeats, last = bench.gateway.posted
    assert len(repeats) == 4
    assert len(set(repeats)) == 1
    assert last[0] != repeats[0][0]
    assert (bench.tally.accepted, bench.tally.retries, bench.tally.requests) == (8, 3, 2)


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_not_taken_is_said_once_and_not_tried_again_and_again(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    refused = answer(status, {"detail": "the key is not known"})
    bench = Bench(refused, refused, samples=3)
    assert bench.sender.advance() == UNAUTHORIZED_S
    assert [record.message for record in caplog.records] == [
        f"samples were dropped (unauthorized), 3 so far: {status} the key is not known. The key is api_key or "
        "VIGIE_API_KEY; the next attempt is in 300 s"
    ]
    bench.add(4)
    bench.now += UNAUTHORIZED_S - 1
    assert bench.sender.advance() == pytest.approx(1)
    bench.sender.hurry()  # at the end of the process neither
    assert bench.sender.advance() == pytest.approx(1)
    assert len(bench.gateway.posted) == 1
    bench.now += 1
    assert bench.sender.advance() == UNAUTHORIZED_S
    bench.add(5)
    bench.run()  # the key is good now: what was dropped is told
    stats = bench.tally.stats(len(bench.buffer))
    assert (stats.accepted, stats.dropped, stats.buffered) == (5, {Dropped.UNAUTHORIZED: 7}, 0)
    assert len(bench.gateway.posted) == 3
    report = json.loads(bench.gateway.posted[-1][1])[0]
    assert (report["name"], report["value"], report["labels"]["reason"]) == (DROPPED_METRIC, 7, "unauthorized")
    assert not bench.tally.unreported()


def test_wait_is_what_the_server_asked_for_or_grows() -> None:
    bench = Bench(answer(503, retry_after="7"), LOST, LOST)
    assert bench.sender.advance() == 7
    bench.now += 6.9
    assert bench.sender.advance() == pytest.approx(0.1)
    assert len(bench.gateway.posted) == 1
    bench.now += 0.1
    assert bench.sender.advance() == 0.5
    bench.now += 0.5
    assert bench.sender.advance() == 1.0


def test_end_of_the_process_does_not_wait_and_shortens_the_attempt() -> None:
    bench = Bench(answer(503, retry_after="60"))
    assert bench.sender.advance() == 60
    bench.sender.hurry()
    bench.sender.advance(time_left=2.0)
    assert bench.gateway.posted[-1][2] == 2.0
    assert bench.tally.accepted == 3


def test_each_item_has_its_own_verdict() -> None:
    errors = [{"index": 1, "field": "name", "reason": "bad"}]
    bench = Bench(answer(201, {"accepted": 2, "rejected": 1, "errors": errors}))
    bench.run()
    assert (bench.tally.accepted, bench.tally.refused) == (2, 1)


@pytest.mark.parametrize("status", [400, 415, 422])
def test_wrong_request_is_not_repeated(status: int, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(answer(status, {"detail": "name: must start with a letter"}))
    bench.run()
    assert len(bench.gateway.posted) == 1
    assert (bench.tally.accepted, bench.tally.refused) == (0, 3)
    assert "must start with a letter" in caplog.text


@pytest.mark.parametrize(
    "body", [None, [], "hello", {"ok": True}, {"accepted": 2, "rejected": 0}, {"accepted": "3", "rejected": 0}]
)
def test_success_that_is_not_the_gateways_loses_nothing(body) -> None:
    bench = Bench(answer(200, body))
    bench.run()
    assert len(bench.gateway.posted) == 2
    assert bench.tally.accepted == 3


def test_refused_report_of_drops_is_no_refused_sample() -> None:
    errors = [{"index": 0, "field": "name", "reason": "no more series"}]
    bench = Bench(answer(201, {"accepted": 5, "rejected": 1, "errors": errors}), samples=25, limit=10)
    bench.run()
    assert (bench.tally.accepted, bench.tally.refused) == (10, 0)


def test_request_that_a_proxy_finds_too_large_is_halved_with_new_keys() -> None:
    bench = Bench(answer(413), answer(413), samples=10)
    bench.run()
    assert [len(values) for values in bench.gateway.values()] == [10, 5, 2, 2, 2, 2, 2]
    assert len({key for key, _, _ in bench.gateway.posted}) == 7
    assert [v for values in bench.gateway.values()[2:] for v in values] == list(range(10))
    assert bench.tally.accepted == 10


def test_single_sample_that_is_too_large_is_refused() -> None:
    bench = Bench(answer(413), samples=1)
    bench.run()
    assert (bench.tally.refused, len(bench.buffer)) == (1, 0)


def test_unknown_outcome_is_not_repeated_when_the_key_may_be_forgotten() -> None:
    bench = Bench(LOST, *[UNSENT] * 10)
    bench.run(1)
    bench.now += REPEATABLE_S + 1
    bench.sender.advance()
    assert len(bench.gateway.posted) == 1
    assert bench.tally.stats(0).dropped == {Dropped.TOO_OLD: 3}


def test_what_certainly_never_arrived_is_sent_however_old() -> None:
    bench = Bench(UNSENT)
    bench.run(1)
    bench.now += REPEATABLE_S * 3
    bench.run()
    assert bench.tally.accepted == 3


def test_request_that_makes_the_gateway_fail_does_not_block_the_others_for_ever() -> None:
    bench = Bench(*[answer(500)] * MAX_FAILURES, samples=3)
    bench.run(2)
    bench.add(1)
    bench.run()
    assert bench.tally.stats(0).dropped == {Dropped.FAILED: 3}
    assert bench.tally.accepted == 1


def test_drops_are_reported_to_vigie_once() -> None:
    bench = Bench(samples=25, limit=10)
    bench.run()
    items = [item for _, body, _ in bench.gateway.posted for item in json.loads(body)]
    reports = [item for item in items if item["name"] == DROPPED_METRIC]
    assert [(r["type"], r["value"], r["labels"]) for r in reports] == [("counter", 15, {"reason": "buffer_full"})]


outcomes = st.sampled_from(
    [
        True,
        UNSENT,
        LOST,
        answer(503, retry_after="1"),
        answer(409),
        answer(413),
        answer(400, {"detail": "no"}),
        answer(500),
        answer(200, {}),
    ]
)


@given(st.lists(outcomes, max_size=40), st.lists(st.integers(0, 30), max_size=10))
def test_every_sample_ends_in_exactly_one_place(script: list[object], arrivals: list[int]) -> None:
    bench = Bench(*script, samples=0, limit=40)
    added = 0
    for count in arrivals:
        bench.add(count)
        added += count
        bench.now += bench.sender.advance() or 0
    bench.run()
    stats = bench.tally.stats(len(bench.buffer))
    assert stats.buffered == 0
    assert stats.accepted + stats.refused + sum(stats.dropped.values()) == added
    assert not bench.tally.unreported()
