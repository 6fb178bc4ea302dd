"""Sends batches to the front door as a well-behaved client: gzip, idempotent, patient when told to wait."""

import asyncio
import gzip
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import httpx2

from vigie_standalone.probes import trust

RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
LONGEST_WAIT_S = 30.0
GZIP_LEVEL = 3
KEPT_PROBLEMS = 5


@dataclass
class SendStats:
    """What came of everything sent so far."""

    accepted: int = 0
    rejected: int = 0
    """Items."""
    refused: int = 0
    """Whole requests."""
    retries: int = 0
    problems: list[str] = field(default_factory=list)


class Sender:
    """One connection pool to one front door."""

    def __init__(self, url: str, *, token: str | None = None, client: httpx2.AsyncClient | None = None) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client = client or httpx2.AsyncClient(base_url=url, headers=headers, timeout=15, verify=trust(url))
        self.sent = SendStats()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def events(self, events: list[dict[str, Any]]) -> None:
        """A CloudEvents batch. The events' own ids make a repetition harmless."""
        await self._post("/api/events", events, "application/cloudevents-batch+json", {})

    async def metrics(self, items: list[dict[str, Any]]) -> None:
        """A metrics batch. Its key is its content, so the same slice sent by a restarted simulator counts once."""
        key = hashlib.blake2b(json.dumps(items).encode(), digest_size=16).hexdigest()
        await self._post("/api/metrics/batch", {"metrics": items}, "application/json", {"idempotency-key": key})

    async def telemetry(self, report: dict[str, Any], key: str) -> bool:
        """A node's report, `key` naming it in repeats. Whether it was taken."""
        return await self._post("/telemetry", report, "application/json", {"idempotency-key": key})

    async def app_metrics(self, app: str, said: dict[str, Any]) -> bool:
        """What an app says of itself; a repeat of it counts once. Whether it was taken."""
        return await self._post(f"/api/apps/{app}/metrics", said, "application/json", {})

    async def _post(self, path: str, content: Any, content_type: str, more: dict[str, str]) -> bool:
        """Whether the request was taken, in the end."""
        body = gzip.compress(json.dumps(content, separators=(",", ":")).encode(), GZIP_LEVEL, mtime=0)
        headers = {"content-type": content_type, "content-encoding": "gzip", **more}
        tries = 0
        while True:
            tries += 1
            outcome = await self._once(path, body, headers, tries)
            if isinstance(outcome, bool):
                return outcome
            self.sent.retries += 1
            await asyncio.sleep(outcome)

    async def _once(self, path: str, body: bytes, headers: dict[str, str], tries: int) -> float | bool:
        """Whether it was taken; while that is not settled, the seconds to wait before the next try."""
        backoff = min(LONGEST_WAIT_S, 0.25 * 2 ** min(tries, 10))
        try:
            answer = await self._client.post(path, content=body, headers=headers)
        except httpx2.TransportError:
            return backoff
        if answer.status_code in RETRYABLE:
            return retry_after(answer.headers.get("retry-after"), backoff)
        if answer.status_code >= 400:  # wrong, and just as wrong when it is repeated
            self._problem(f"POST {path} was answered {answer.status_code}: {answer.text[:300]}")
            self.sent.refused += 1
            return False
        self._count(answer)
        return True

    def _count(self, answer: httpx2.Response) -> None:
        try:
            verdict = answer.json()
        except ValueError:
            return
        accepted, rejected = verdict.get("accepted", 0), verdict.get("rejected", [])
        self.sent.accepted += accepted if isinstance(accepted, int) else len(accepted)
        refused = rejected if isinstance(rejected, list) else []
        self.sent.rejected += len(refused)
        if refused:
            self._problem(json.dumps(refused[0])[:300])

    def _problem(self, text: str) -> None:
        if len(self.sent.problems) < KEPT_PROBLEMS:
            self.sent.problems.append(text)


def retry_after(header: str | None, otherwise: float) -> float:
    """The seconds a Retry-After header asks for, bounded; `otherwise` when it says nothing usable."""
    try:
        return min(LONGEST_WAIT_S, max(0.05, float(header))) if header is not None else otherwise
    except ValueError:
        return otherwise
