"""What is asked of a service of the old release and of today's while both run: whoever read it must still find it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import httpx2 as httpx

from tests.chaos.ledger import Difference

HOUR_MS: Final = 3_600_000
SAID_ANEW: Final = frozenset({"timestamp", "nextCursor", "lastCheck", "responseTime", "phases"})
"""Fields of the moment of the answer, or of a check between two answers."""
OF_THE_PROCESS: Final = frozenset({"health", "evaluationTime", "lastEvaluation"})
"""Fields of what the process that is asked does itself: a rule is evaluated by one of both."""
SHOWN: Final = 300


def questions(service: str) -> tuple[str, ...]:
    """Paths whose answers do not change while nothing is sent; between whole hours, so that both are asked the same."""
    now = time.time_ns() // 1_000_000
    end = now - now % HOUR_MS + HOUR_MS
    span = f"from={end - 40 * HOUR_MS}&to={end}"
    promql = f"start={(end - 2 * HOUR_MS) / 1000:.0f}&end={end / 1000:.0f}&step=600"
    return {
        "api": (
            "/api/series?limit=1000",
            *(
                f"/api/query_range?metric=ledger_{kind}&function={function}&by=service&step=3600&{span}"
                for kind, function in (("gauge", "max"), ("counter", "sum"), ("histogram", "p95"), ("gauge", "count"))
            ),
            f"/api/v1/query_range?query=sum%20by%20(service)(increase(ledger_counter[10m]))&{promql}",
            f"/api/v1/query_range?query=max_over_time(ledger_gauge[10m])&{promql}",
            "/api/v1/labels",
            "/api/v1/label/__name__/values",
            "/api/apps",
            f"/api/apps/shop/metrics?limit=1000&{span}",
        ),
        "alerting": ("/api/alerts/rules", "/api/alerts?limit=1000", "/api/v1/rules", "/api/alerts/channels"),
        "healthcheck": ("/api/health/services", "/api/health/services/shop", "/api/health/incidents"),
    }.get(service, ())


async def compared(service: str, old: str, new: str) -> list[Difference]:
    """What one of the two says and the other does not. A new field of a newer release is no difference."""
    differences: list[Difference] = []
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        for path in questions(service):
            answers = [await client.get(url + path) for url in (old, new)]
            differences += [
                Difference(f"{service} {answer.url}", path, None, 200, answer.text[:SHOWN])
                for answer in answers
                if answer.status_code != 200
            ]
            if all(answer.status_code == 200 for answer in answers):
                before, after = (answer.json() for answer in answers)
                differences += [Difference(service, path, None, a, b) for a, b in missing(before, after)]
    return differences


def missing(old: Any, new: Any, at: str = "") -> list[tuple[str, str]]:
    """What `old` says at which place, and what stands there in `new`, wherever that is something else."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        wrong: list[tuple[str, str]] = []
        for name, value in old.items():
            if name in SAID_ANEW | OF_THE_PROCESS:
                continue
            place = f"{at}.{name}"
            wrong += missing(value, new[name], place) if name in new else [(f"{place}: {_short(value)}", "nothing")]
        return wrong
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [found for number, (a, b) in pairs for found in missing(a, b, f"{at}[{number}]")]
    return [] if old == new else [(f"{at}: {_short(old)}", _short(new))]


def _short(value: object) -> str:
    return repr(value)[:SHOWN]
