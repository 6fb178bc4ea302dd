"""What Grafana's Prometheus data source asks, it is answered as by Prometheus: `promql/grafana.json`.

Of each request: `when` Grafana sends it; `method`, `path`, `query` (in the URL) and `form` (in the body). Then what
it must get: its `data` (`answer`), data of such a shape (`like`: at least these names, values of these types, the
first of a list for all), or the `status` and `errorType` of an error. `{start}`, `{middle}`, `{later}` and `{end}` are
Unix seconds."""

from __future__ import annotations

import json
import math
import re
import time
from pathlib import Path
from typing import Any, Final

import httpx2 as httpx
import pytest

from tests.e2e.up import Up
from tests.kit import eventually_sync

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(120)]

REQUESTS: Final[list[dict[str, Any]]] = json.loads((Path(__file__).parent / "promql" / "grafana.json").read_text())
START: Final = int(time.time()) // 60 * 60 - 900
TIMES: Final = {"start": START, "middle": START + 300, "later": START + 450, "end": START + 600}
NAME: Final = "grafana_requests_total"


def metrics() -> list[dict[str, Any]]:
    """Two cumulative counters, one more and three more a second for ten minutes, and a gauge with dots."""
    counters = [
        {
            "name": NAME, "type": "counter", "temporality": "cumulative", "labels": {"service": service},
            "value": 1000 + each * second, "timestamp": (START + second) * 1000,
        }
        for service, each in (("grafana-web", 1), ("grafana-db", 3))
        for second in range(0, 601, 10)
    ]  # fmt: skip
    gauge = {
        "name": "grafana.duration", "type": "gauge", "labels": {"http.route": "/book"},
        "value": 7, "timestamp": (START + 600) * 1000,
    }  # fmt: skip
    return [*counters, gauge]


def filled(value: Any) -> Any:
    """With the times in; one that stands alone becomes a number."""
    if isinstance(value, dict):
        return {name: filled(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner) for inner in value]
    if not isinstance(value, str):
        return value
    alone = re.fullmatch(r"\{(\w+)\}", value)
    return TIMES[alone[1]] if alone and alone[1] in TIMES else re.sub(r"\{(\w+)\}", _time, value)


def _time(found: re.Match[str]) -> str:
    return str(TIMES[found[1]]) if found[1] in TIMES else found[0]


def equal(a: Any, b: Any) -> bool:
    """The same; numbers, also those in texts, up to rounding."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[name], b[name]) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal, a, b))
    try:
        return type(a) is type(b) and (a == b or math.isclose(float(a), float(b), rel_tol=1e-12))
    except ValueError:
        return False


def differs(example: Any, value: Any, where: str = "data") -> str | None:
    """Where the value has not the shape of the example; None when it has."""
    if isinstance(example, dict):
        if not isinstance(value, dict):
            return f"{where} is no object"
        missing = [name for name in example if name not in value]
        inner = [differs(example[name], value[name], f"{where}.{name}") for name in example if name in value]
        return f"{where} lacks {missing}" if missing else next(filter(None, inner), None)
    if isinstance(example, list):
        if not isinstance(value, list) or not value:
            return f"{where} is no list, or empty"
        pair = len(example) > 1
        examples = example if pair else example * len(value)
        found = [differs(a, b, f"{where}[{i}]") for i, (a, b) in enumerate(zip(examples, value, strict=True))]
        return next(filter(None, found), None)
    numbers = isinstance(example, int | float) and isinstance(value, int | float)
    return None if numbers or type(example) is type(value) else f"{where} is {value!r}"


@pytest.fixture(scope="module")
def grafana(vigie: Up) -> httpx.Client:
    """Grafana's client, when all samples are counted."""
    client = httpx.Client(base_url=vigie.url, timeout=30, trust_env=False, headers={"accept-encoding": "gzip"})
    client.post("/api/metrics/batch", json=metrics()).raise_for_status()
    query = {"query": f'sum(count_over_time({{__name__=~"{NAME}|grafana.duration"}}[1h]))', "time": START + 601}

    def counted() -> bool:
        answer = client.get("/api/v1/query", params=query)
        assert answer.status_code == 200, answer.text
        return [one["value"][1] for one in answer.json()["data"]["result"]] == [str(len(metrics()))]

    eventually_sync(counted, 30)
    return client


@pytest.mark.parametrize("request_", REQUESTS, ids=[one["when"] for one in REQUESTS])
def test_the_data_source_gets_what_it_expects(grafana: httpx.Client, request_: dict[str, Any]) -> None:
    url, form = (filled(request_.get(part)) for part in ("query", "form"))
    headers = {"content-type": "application/x-www-form-urlencoded"} if request_["method"] == "POST" else {}
    answer = grafana.request(request_["method"], request_["path"], params=url, data=form, headers=headers)
    assert answer.headers["content-type"].partition(";")[0] == "application/json", answer.text
    body = answer.json()
    assert answer.status_code == request_.get("status", 200), body
    if "error" in request_:
        assert (body["status"], body["errorType"]) == ("error", request_["error"])
        assert body["error"]
        return
    assert body["status"] == "success"
    assert set(body) <= {"status", "data", "warnings", "infos"}
    if "answer" in request_:
        assert equal(body["data"], filled(request_["answer"])), body["data"]
    else:
        assert differs(filled(request_["like"]), body["data"]) is None
