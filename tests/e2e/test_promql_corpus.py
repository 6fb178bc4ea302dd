"""Prometheus' own evaluations over HTTP: samples go in by the gateway, and `/api/v1/query` gives what Prometheus gives.

Cases whose samples are at least 10 s apart: a window then stands for one sample. Every dataset has a tenant of its own.
Their times begin at the epoch; here, at a full hour that is still kept at the finest width."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import httpx2 as httpx
import pytest
from vigie_contracts.series import Labels
from vigie_contracts.tiers import FINE
from vigie_query.promql.labels import NAME, labels_of

from libs.query.tests.promql import corpus
from tests.e2e.up import Up
from tests.kit import eventually_sync

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(240)]

HOUR_MS: Final = 3_600_000
SHIFT_MS: Final = (int(time.time() * 1000) // HOUR_MS - 6) * HOUR_MS
"""What is added to every time: the longest dataset lasts five and a half hours."""
COUNTER_FUNCTIONS: Final = "rate|irate|increase|resets"
DIVERGENCES: Final = corpus.divergences(Path(__file__).parent / "promql" / "divergences.txt")


def sparse(series: list[corpus.Series]) -> bool:
    """No two samples of a series in one window."""
    return all(b - a >= FINE.width_ms for _, times, _ in series for a, b in pairwise(times.tolist()))


CASES: Final = [case for case in corpus.cases() if sparse(corpus.dataset(case["dataset"]))]


def tenant(dataset: int) -> dict[str, str]:
    """The header that names the dataset's tenant."""
    return {"X-Scope-OrgID": f"corpus-{dataset}"}


def metrics(dataset: int) -> list[dict[str, Any]]:
    """The dataset's samples for `POST /api/metrics/batch`. What its cases take the rate of are cumulative counters."""
    asked = " ".join(case["expr"] for case in CASES if case["dataset"] == dataset)
    counters = set(re.findall(rf"\b(?:{COUNTER_FUNCTIONS})\((\w+)", asked))
    found: list[dict[str, Any]] = []
    for labels, times, values in corpus.dataset(dataset):
        own = dict(labels)
        name = own.pop(NAME)
        cumulative = name in counters and bool((values >= 0).all())
        type_ = {"type": "counter", "temporality": "cumulative"} if cumulative else {"type": "gauge"}
        found += [
            {"name": name, **type_, "labels": own, "value": value, "timestamp": SHIFT_MS + at}
            for at, value in zip(times.tolist(), values.tolist(), strict=True)
            if math.isfinite(value)
        ]
    return found


@pytest.fixture(scope="module")
def api(vigie: Up) -> Iterator[httpx.Client]:
    """A client that may ask about every tenant, when all samples are counted."""
    with httpx.Client(base_url=vigie.url, timeout=30, trust_env=False) as client:
        login = client.post("/auth/login", json={"username": "admin", "password": vigie.admin_password()})
        client.headers["authorization"] = f"Bearer {login.raise_for_status().json()['accessToken']}"
        sent: dict[int, int] = {}
        for dataset in sorted({case["dataset"] for case in CASES}):
            name = tenant(dataset)["X-Scope-OrgID"]
            client.post("/admin/tenants", json={"id": name, "name": name}).raise_for_status()
            if samples := metrics(dataset):
                taken = client.post("/api/metrics/batch", json=samples, headers=tenant(dataset))
                assert taken.status_code in (201, 400), taken.text  # 400: none of its names is one
                sent[dataset] = taken.json().get("accepted", 0)
        for dataset, count in sent.items():
            eventually_sync(lambda dataset=dataset, count=count: counted(client, dataset) == count, 60)
        yield client


def counted(client: httpx.Client, dataset: int) -> int:
    """How many samples of it can be asked for."""
    found = 0
    for name in {dict(labels)[NAME] for labels, _, _ in corpus.dataset(dataset)}:
        query = {"query": f"sum(count_over_time({name}[8h]))", "time": (SHIFT_MS + 7 * HOUR_MS) / 1000}
        answer = client.get("/api/v1/query", params=query, headers=tenant(dataset))
        assert answer.status_code == 200, answer.text
        found += sum(int(one["value"][1]) for one in answer.json()["data"]["result"])
    return found


def ask(client: httpx.Client, case: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Status and answer."""
    start, end = ((SHIFT_MS + case[name]) / 1000 for name in ("start_ms", "end_ms"))
    if case["instant"]:
        path, when = "/api/v1/query", {"time": end}
    else:
        path, when = "/api/v1/query_range", {"start": start, "end": end, "step": case["step_ms"] / 1000}
    answer = client.post(path, data={"query": case["expr"], **when}, headers=tenant(case["dataset"]))
    return answer.status_code, answer.json()


def points_of(data: dict[str, Any]) -> corpus.Answer:
    """The answer with the corpus' times."""
    if data["resultType"] == "scalar":
        return {(): [point(data["result"])]}
    found: corpus.Answer = {}
    for one in data["result"]:
        labels: Labels = labels_of(one["metric"])
        found[labels] = [point(pair) for pair in one.get("values") or [one["value"]]]
    return found


def point(pair: tuple[float, str]) -> tuple[int, float]:
    at, value = pair
    return round(at * 1000) - SHIFT_MS, float(value)


@pytest.mark.parametrize("case", CASES, ids=corpus.name)
def test_the_answer_is_prometheus_s_unless_listed(api: httpx.Client, case: dict[str, Any]) -> None:
    status, answer = ask(api, case)
    assert status != 500, answer
    passes = status == 200 and corpus.same(points_of(answer["data"]), corpus.expected(case))
    if corpus.name(case) in DIVERGENCES:
        assert not passes, "this one is right now: take it off divergences.txt"
    else:
        assert passes, f"{json.dumps(answer)[:2_000]} instead of {corpus.expected(case)}"


def test_every_divergence_is_a_case_and_has_a_reason() -> None:
    assert set(DIVERGENCES) <= {corpus.name(case) for case in CASES}
    assert all(DIVERGENCES.values())
