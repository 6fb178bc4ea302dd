"""A sender that never gives up: a request is repeated with its key until it has a clear answer, then booked once."""

import asyncio
import contextlib
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx
from vigie_contracts.series import Kind, SeriesKey, series_key

from tests.chaos.ledger import Ledger, Sample

TYPES = {"gauge": Kind.GAUGE, "counter": Kind.COUNTER, "histogram": Kind.HISTOGRAM}
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
# 409: the same key is being worked on by the attempt before. All others say "not now".
AGAIN = frozenset({408, 409, 425, 429, 502, 503, 504})
LONGEST_PAUSE_S = 1.0
REPEATED_OF_256 = 8
"""So many of 256 accepted requests are sent once more on purpose."""
ATTEMPT_TIMEOUT_S = 5.0
"""Shorter than the gateway waits for Kafka, so that some repeats meet the attempt before."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request: where, what, and the samples that it must add exactly once."""

    path: str
    body: bytes
    key: str
    samples: tuple[Sample, ...]


@dataclass(slots=True)
class Answers:
    """How the requests went."""

    accepted: int = 0
    retried: int = 0
    """Requests that needed more than one attempt."""
    unknown: int = 0
    """Requests with an attempt whose fate the sender could not know: the connection broke, or time ran out."""
    resolved: int = 0
    """Of those: answered clearly in the end."""
    replayed: int = 0
    """Answers that the gateway had kept from an earlier attempt."""
    repeated: int = 0
    """Accepted requests that were sent once more on purpose."""
    attempts: Counter[str] = field(default_factory=Counter[str])
    """Status code, or name of the connection error, of every attempt."""
    wrong: list[str] = field(default_factory=list[str])
    """Answers that must never be given to a valid request."""


class Series:
    """Series of three types. The pool grows while the load runs, so that new ones are registered in trouble."""

    def __init__(self, ledger: Ledger, count: int) -> None:
        names, start = tuple(TYPES), ledger.prefix or "ledger"
        self._keys = [
            series_key(
                ledger.tenant, f"{start}_{names[i % 3]}", TYPES[names[i % 3]], {"n": str(i), "service": f"s{i % 7}"}
            )
            for i in range(count)
        ]

    def known(self, share: float) -> Sequence[SeriesKey]:
        """The first part of the pool."""
        return self._keys[: max(3, int(len(self._keys) * min(1.0, share)))]


def metric(sample: Sample) -> dict[str, Any]:
    """A sample as the gateway takes it."""
    return {
        "name": sample.series.name,
        "type": sample.series.kind.type,
        "value": sample.value,
        "timestamp": sample.timestamp,
        "labels": dict(sample.series.labels),
    }


def batch(samples: Sequence[Sample], key: str | None = None) -> Request:
    """Many samples in one request."""
    body = json.dumps({"metrics": [metric(sample) for sample in samples]}).encode()
    return Request("/api/metrics/batch", body, key or uuid.uuid4().hex, tuple(samples))


def single(sample: Sample, path: str = "/api/metrics/custom") -> Request:
    """One sample in one request."""
    return Request(path, json.dumps(metric(sample)).encode(), uuid.uuid4().hex, (sample,))


class Plan:
    """What to send next, from a seed: singles and batches, mostly fresh, some minutes, hours and a day late."""

    def __init__(self, series: Series, seed: int, *, batch_size: int = 60, now_ms: Callable[[], int] | None = None):
        self._series = series
        self._random = random.Random(seed)
        self._batch_size = batch_size
        self._now_ms = now_ms or (lambda: time.time_ns() // 1_000_000)
        # Late samples meet in a few windows, so that documents are corrected again and again.
        self._ages = [self._random.randrange(HOUR_MS, 30 * HOUR_MS) for _ in range(12)]
        self._ages += [self._random.randrange(MINUTE_MS, HOUR_MS) for _ in range(12)]

    def request(self, share: float = 1.0) -> Request:
        """The next request; `share` is how much of the pool of series is in use already."""
        r = self._random
        keys, now = self._series.known(share), self._now_ms()
        if r.random() < 0.3:
            path = r.choice(("/api/metrics/custom", "/api/metrics/business"))
            return single(self._sample(r.choice(keys), now), path)
        count = r.randint(1, 2 * self._batch_size)
        return batch([self._sample(key, now) for key in r.choices(keys, k=count)])

    def _sample(self, key: SeriesKey, now: int) -> Sample:
        r = self._random
        age = r.choice(self._ages) if r.random() < 0.03 else r.randrange(20_000)
        low = -1000 if key.kind is Kind.GAUGE else 0
        return Sample(key, now - age, r.randint(low, 1000))


class Sender:
    """Sends requests to any of the gateways until each is answered clearly, and books what was accepted."""

    def __init__(self, gateways: Sequence[str], ledger: Ledger, seed: int = 0) -> None:
        self.answers = Answers()
        self._ledger = ledger
        self._gateways = list(gateways)
        self._random = random.Random(seed)
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=100, keepalive_expiry=30)
        self._client = httpx.AsyncClient(timeout=ATTEMPT_TIMEOUT_S, limits=limits, trust_env=False)

    @property
    def gateways(self) -> Sequence[str]:
        """To whom requests go."""
        return self._gateways

    def use(self, gateways: Sequence[str]) -> None:
        """From the next attempt on, send to these."""
        self._gateways = list(gateways)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def deliver(self, request: Request, *, repeat: bool = False) -> None:
        """Send until accepted, book it, and when asked send it once more, which must change nothing."""
        unknown, attempt = False, 0
        while True:
            attempt += 1
            outcome = await self._attempt(request)
            if isinstance(outcome, httpx.Response):
                if outcome.is_success:
                    break
                if outcome.status_code not in AGAIN:
                    self.answers.wrong.append(f"{request.path} {outcome.status_code}: {outcome.text[:300]}")
                    return
                unknown |= outcome.status_code in (502, 503, 504)  # 503 after a time-out: the record may be there
            else:
                unknown = True
            await self._pause(outcome, attempt)
        self._book(request, outcome, attempt=attempt, unknown=unknown)
        if repeat:
            self.answers.repeated += 1
            await self._repeat(request)

    def _book(self, request: Request, answer: httpx.Response, *, attempt: int, unknown: bool) -> None:
        if complaint := not_all_taken(request, answer):
            self.answers.wrong.append(complaint)
            return
        self._ledger.add(request.samples)
        self.answers.accepted += 1
        self.answers.retried += attempt > 1
        self.answers.unknown += unknown
        self.answers.resolved += unknown
        self.answers.replayed += answer.headers.get("idempotency-replayed") == "true"

    async def _repeat(self, request: Request) -> None:
        outcome = await self._attempt(request)
        clear = isinstance(outcome, httpx.Response) and outcome.status_code not in AGAIN
        if clear and isinstance(outcome, httpx.Response) and not outcome.is_success:
            self.answers.wrong.append(f"repeated {request.path} {outcome.status_code}: {outcome.text[:300]}")

    async def _attempt(self, request: Request) -> httpx.Response | httpx.HTTPError:
        headers = {"content-type": "application/json", "idempotency-key": request.key}
        url = self._random.choice(self._gateways) + request.path
        try:
            answer = await self._client.post(url, content=request.body, headers=headers)
        except httpx.HTTPError as error:
            self.answers.attempts[type(error).__name__] += 1
            return error
        self.answers.attempts[str(answer.status_code)] += 1
        return answer

    async def _pause(self, outcome: httpx.Response | httpx.HTTPError, attempt: int) -> None:
        wanted = 0.05 * 2 ** min(attempt, 5)
        if isinstance(outcome, httpx.Response) and (told := outcome.headers.get("retry-after")):
            with contextlib.suppress(ValueError):
                wanted = float(told)
        await asyncio.sleep(min(LONGEST_PAUSE_S, wanted) * self._random.uniform(0.5, 1.0))


def not_all_taken(request: Request, answer: httpx.Response) -> str | None:
    """A 2xx whose verdicts do not say that every item was taken; None when all is well."""
    try:
        content = answer.json()
    except ValueError:
        return f"{request.path}: a 2xx that is no JSON: {answer.text[:300]}"
    accepted, rejected = content.get("accepted"), content.get("rejected")
    if isinstance(accepted, int) and accepted != len(request.samples):
        return f"{request.path}: {accepted} of {len(request.samples)} accepted: {answer.text[:300]}"
    return f"{request.path}: {answer.text[:300]}" if rejected else None


@contextlib.asynccontextmanager
async def running(
    sender: Sender, plan: Plan, *, workers: int = 12, rate: float = 40.0, share: Callable[[], float]
) -> AsyncIterator[None]:
    """Load as long as the block runs: about `rate` requests a second; when it ends, what is under way is delivered."""
    stop = asyncio.Event()

    async def work() -> None:
        while not stop.is_set():
            began = time.monotonic()
            request = plan.request(share())
            await sender.deliver(request, repeat=int(request.key[:2], 16) < REPEATED_OF_256)
            await asyncio.sleep(max(0.0, workers / rate - (time.monotonic() - began)))

    tasks = [asyncio.create_task(work()) for _ in range(workers)]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


def in_turn() -> Callable[[], float]:
    """A share of the pool that grows from a tenth to all of it within half a minute of asking."""
    began = time.monotonic()
    return lambda: 0.1 + (time.monotonic() - began) / 30
