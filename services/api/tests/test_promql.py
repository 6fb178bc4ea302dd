"""The query API of Prometheus, byte for byte, over samples in memory."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import numpy as np
import pytest
import pytest_asyncio
from vigie_api.app import create_app
from vigie_api.promql import encoding
from vigie_api.promql.numbers import seconds, texts
from vigie_api.settings import ApiSettings
from vigie_contracts.series import Kind
from vigie_contracts.tenants import TenantId
from vigie_identity.anonymous import AnonymousRule
from vigie_identity.errors import BadCredential, RefusalReason
from vigie_identity.permissions import Scope, of_scopes
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_query.promql.memory import MemoryReader
from vigie_query.promql.reading import Read, SamplesReader
from vigie_query.series import Series
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import StoreUnavailable
from vigie_runtime.expressions import Expressions
from vigie_storage.promql.selection import SelectorReader
from vigie_storage.series.filter import Filter
from vigie_web.concurrency import ConcurrencyLimit

from tests.kit.cpu import cpu_at_most

from .free import as_caller

NOW_MS = 1_790_000_000_000
NOW = NOW_MS // 1_000
READER = Principal(
    PrincipalKind.KEY,
    "vk_1",
    "reader",
    assignments=assigned(Assignment(TenantId("acme"), of_scopes(frozenset({Scope.READ})))),
)
UP = (("__name__", "up"), ("job", "a"))
DOWN = (("__name__", "up"), ("job", "b"))
SAMPLES = MemoryReader.of(
    {
        DOWN: [(NOW_MS - 60_000, 0.0), (NOW_MS - 500, math.nan)],
        UP: [(NOW_MS - ago * 1_000, float(90 - ago)) for ago in range(0, 90, 15)],
    }
)


class Callers:
    principal: Principal = READER
    fail: Exception | None = None

    async def authenticate(self, headers: list[tuple[bytes, bytes]], asker: object = None) -> Principal:
        if self.fail is not None:
            raise self.fail
        return self.principal


class Failing:
    """A reader without a store."""

    async def read(self, wanted: Any) -> Read:
        raise StoreUnavailable


class Endless:
    """A reader that does not come to an end."""

    async def read(self, wanted: Any) -> Read:
        await asyncio.Event().wait()
        raise AssertionError


class Families:
    """The catalogue of names and kinds, and of labels."""

    async def families(self, tenant: TenantId) -> list[tuple[str, Kind]]:
        return [("bookings", Kind.COUNTER), ("seconds", Kind.HISTOGRAM), ("up", Kind.GAUGE), ("up", Kind.CUMULATIVE)]

    async def next_ordinals(self, tenant: TenantId) -> dict[int, int]:
        return {0: 4}

    async def names(self, tenant: TenantId) -> list[str]:
        return ["job", "zone"]

    async def values(self, tenant: TenantId, label: str) -> list[str]:
        return [f"{label}-{i}" for i in (1, 2)]

    async def find(self, tenant: TenantId, wanted: Filter, limit: int, what: str) -> list[Series]:
        """Of each name and kind one."""
        found = [(name, kind) for name, kind in await self.families(tenant) if name in (wanted.names or (name,))]
        return [
            Series(at, name, kind, (("job", "a"),), 0, at, 0)
            for at, (name, kind) in enumerate(found)
            if kind in (wanted.kinds or (kind,))
        ]


class Api:
    """A client of the app, as Prometheus' are."""

    def __init__(self, app: Any, http: httpx2.AsyncClient, callers: Callers) -> None:
        self.app, self.http, self.callers = app, http, callers

    def read(self, reader: SamplesReader) -> None:
        state = self.app.state.service
        state.resources = replace(state.resources, samples=lambda _tenant: reader)

    def know(self, families: Any) -> None:
        state = self.app.state.service
        selectors = SelectorReader(families, Expressions(), state.clock, 100)
        state.resources = replace(state.resources, series=families, labels=families, selectors=selectors)

    async def data(self, path: str, **parameters: Any) -> str:
        """The body, which tells of success."""
        answer = await self.http.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["status"] == "success"
        return answer.text

    async def error(self, path: str, status: int, kind: str, **parameters: Any) -> str:
        """The sentence of a refusal."""
        answer = await self.http.get(f"/api/v1/{path}", params=parameters)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
        body = answer.json()
        assert (body["status"], body["errorType"]) == ("error", kind)
        assert set(body) == {"status", "errorType", "error"}
        return body["error"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def started() -> AsyncIterator[Api]:
    settings = ApiSettings(
        kafka_bootstrap_servers="nowhere:1", mongodb_uri="mongodb://127.0.0.1:1", redis_url="redis://127.0.0.1:1"
    )
    app = create_app(settings, clock=ManualClock(NOW_MS))
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url="http://api") as http:
        yield Api(app, http, Callers())


@pytest.fixture
def api(started: Api) -> Api:
    """Over SAMPLES, and asked by READER."""
    made = Api(started.app, started.http, Callers())
    as_caller(made.app, made.callers)
    made.read(SAMPLES)
    return made


def test_numbers_are_written_as_go_writes_them() -> None:
    numbers = {
        0.0: "0", 1.0: "1", 1.5: "1.5", 1e15: "1000000000000000", 1e16: "10000000000000000",
        123456789012345678.0: "123456789012345680", 1e20: "100000000000000000000", 1e21: "1e+21", -1.5e300: "-1.5e+300",
        1e-4: "0.0001", 1e-5: "0.00001", 1.25e-6: "0.00000125", 1e-6: "0.000001", 9.99e-7: "9.99e-07",
        5e-324: "5e-324", 0.1 + 0.2: "0.30000000000000004", math.inf: "+Inf", -math.inf: "-Inf",
        1.7976931348623157e308: "1.7976931348623157e+308",
    }  # fmt: skip
    assert texts(np.array(list(numbers))) == list(numbers.values())
    assert texts(np.array([-0.0, math.nan])) == ["-0", "NaN"]
    assert texts(np.array([])) == []
    chosen = np.random.default_rng(7)
    some = chosen.standard_normal(2_000) * 10.0 ** chosen.integers(-25, 25, 2_000)
    assert list(map(float, texts(some))) == some.tolist()
    assert {"e" in one for one in texts(some[(abs(some) >= 1e-6) & (abs(some) < 1e21)])} == {False}
    assert [seconds(at) for at in (0, 1_000, 1_500, 1_435_781_451_781, 5)] == [
        "0", "1", "1.500", "1435781451.781", "0.005",
    ]  # fmt: skip


async def test_an_instant_vector_is_written_as_prometheus_writes_it(api: Api) -> None:
    assert await api.data("query", query="up") == (
        '{"status":"success","data":{"resultType":"vector","result":['
        f'{{"metric":{{"__name__":"up","job":"b"}},"value":[{NOW},"NaN"]}},'
        f'{{"metric":{{"__name__":"up","job":"a"}},"value":[{NOW},"90"]}}]}}}}'
    )
    assert await api.data("query", query="missing") == (
        '{"status":"success","data":{"resultType":"vector","result":[]}}'
    )


async def test_scalars_strings_and_ranges_at_one_time(api: Api) -> None:
    async def result(query: str, at: str) -> str:
        return (await api.data("query", query=query, time=at)).partition('"result":')[2]

    assert await result("1e21", f"{NOW}.5") == f'[{NOW}.5,"1000000000000000000000"]}}}}'
    assert await result('"é<"', "2026-09-21T14:13:20Z") == f'[{NOW},"é<"]}}}}'
    assert await result('up{job="a"}[30s]', str(NOW - 0.5)) == (
        f'[{{"metric":{{"__name__":"up","job":"a"}},"values":[[{NOW - 30},"60"],[{NOW - 15},"75"]]}}]}}}}'
    )


async def test_samples_are_written_series_by_series(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a million of them do not hold up the other requests."""
    at_once: list[int] = []

    def counted(values: Any) -> list[str]:
        at_once.append(len(values))
        return texts(values)

    monkeypatch.setattr(encoding, "texts", counted)
    found = json.loads(await api.data("query", query="up[2m]"))["data"]["result"]
    assert at_once == [len(one["values"]) for one in found] == [2, 6]


async def test_range_queries_are_sorted_and_leave_out_what_is_not_there(api: Api) -> None:
    asked = {"query": "up", "start": NOW - 75.25, "end": NOW - 45.25, "step": "15s"}
    assert await api.data("query_range", **asked) == (
        '{"status":"success","data":{"resultType":"matrix","result":['
        f'{{"metric":{{"__name__":"up","job":"a"}},"values":[[{NOW - 61}.750,"15"],[{NOW - 46}.750,"30"]]}},'
        f'{{"metric":{{"__name__":"up","job":"b"}},"values":[[{NOW - 46}.750,"0"]]}}]}}}}'
    )
    scalar = json.loads(await api.data("query_range", query="1", start=0, end=30, step=15))["data"]
    assert scalar == {"resultType": "matrix", "result": [{"metric": {}, "values": [[0, "1"], [15, "1"], [30, "1"]]}]}


async def test_a_form_counts_before_the_url(api: Api) -> None:
    answer = await api.http.post("/api/v1/query?query=2&time=7", data={"query": "3"})
    assert answer.json()["data"]["result"] == [7, "3"]
    empty = await api.http.post("/api/v1/query?query=2&time=7")
    assert empty.json()["data"]["result"] == [7, "2"]
    refused = await api.http.post("/api/v1/query?query=2", json={"query": "3"})
    assert (refused.status_code, refused.json()["errorType"]) == (415, "bad_data")


async def test_what_is_left_out_is_told(api: Api) -> None:
    found = json.loads(await api.data("query", query="up", limit="1"))
    assert len(found["data"]["result"]) == 1
    assert found["warnings"] == ["results truncated due to limit"]
    assert "warnings" not in json.loads(await api.data("query", query="up", limit="0"))
    assert (await api.error("query", 400, "bad_data", query="up", limit="-1")).endswith("limit must be non-negative")


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({}, 'invalid parameter "start": cannot parse "" to a valid timestamp'),
        ({"start": "x"}, 'invalid parameter "start": cannot parse "x" to a valid timestamp'),
        ({"start": -1}, 'invalid parameter "start": must be between the years 1970 and 9999'),
        ({"start": "1e300"}, 'invalid parameter "start": must be between the years 1970 and 9999'),
        ({"start": 2, "end": 1}, 'invalid parameter "end": end timestamp must not be before start time'),
        ({"start": 1, "end": 2, "step": "1x"}, 'invalid parameter "step": cannot parse "1x" to a valid duration'),
        (
            {"start": 1, "end": 2, "step": 0},
            'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive '
            "integer",
        ),
        (
            {"start": 1, "end": 11_002, "step": 1},
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution "
            "(?step=XX)",
        ),
        (
            {"start": 1, "end": 2, "step": "1ms0"},
            'invalid parameter "step": cannot parse "1ms0" to a valid duration',
        ),
        ({"start": 1, "end": 2, "step": 1, "timeout": -1}, 'invalid parameter "timeout": must be more than zero'),
    ],
)
async def test_parameters_are_refused_in_the_words_of_prometheus(
    api: Api, parameters: dict[str, Any], sentence: str
) -> None:
    assert await api.error("query_range", 400, "bad_data", query="up", **parameters) == sentence


async def test_expressions_that_are_wrong_are_bad_data_and_what_they_meet_is_an_execution(api: Api) -> None:
    assert (await api.error("query", 400, "bad_data", query="sum(")).startswith('invalid parameter "query": ')
    assert (await api.error("query", 400, "bad_data")).startswith('invalid parameter "query": ')
    await api.error("query", 422, "execution", query="up * on() up")
    matchers = ",".join(f'l{i}="v"' for i in range(40))
    error = await api.error("query", 422, "execution", query=f"up{{{matchers}}}")
    assert error == "a selector has more than 32 matchers"


async def test_an_answer_has_so_many_points(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    state = api.app.state.service
    monkeypatch.setattr(state, "settings", state.settings.model_copy(update={"api_promql_max_points": 2}))
    asked = {"query": "up", "start": NOW - 75, "end": NOW, "step": 15}
    assert "11 points, more than the 2" in await api.error("query_range", 422, "execution", **asked)


async def test_bad_input_is_refused_at_once(api: Api) -> None:
    with cpu_at_most(1):
        for query in ("(" * 1_000 + "up" + ")" * 1_000, "up" + " + up" * 3_000, '{a=~"' + "(a+)+" * 900 + '"}', "{}"):
            await api.error("query", 400, "bad_data", query=query)
        answer = await api.http.post("/api/v1/query", data={"query": "a" * 1_000_000})
        assert (answer.status_code, answer.json()["errorType"]) == (413, "bad_data")


async def test_a_query_has_so_much_time_and_not_more(api: Api) -> None:
    api.read(Endless())
    assert await api.error("query", 503, "timeout", query="up", timeout="10ms") == (
        "query timed out in query execution: it may take 10ms"
    )


@pytest.mark.parametrize("path", ["query", "series", "labels", "label/job/values", "metadata"])
async def test_what_is_asked_of_series_waits_for_its_turn_among_the_queries(api: Api, path: str) -> None:
    state = api.app.state.service
    places = ConcurrencyLimit(1, "queries", 2)
    api.know(Families())
    state.resources = replace(state.resources, queries=places)
    asked = {"query": "up", "match[]": "up"}
    async with places.slot(TenantId("acme")):
        assert "queries" in await api.error(path, 503, "unavailable", **asked)
    async with places.slot():
        assert "it may take 20ms" in await api.error(path, 503, "timeout", timeout="20ms", **asked)
    await api.data(path, **asked)


async def test_errors_of_the_shell_have_the_shape_that_clients_know(api: Api) -> None:
    api.read(Failing())
    assert "try again" in await api.error("query", 503, "unavailable", query="up")
    api.callers.principal = AnonymousRule.parse("nothing").principal()
    await api.error("query", 401, "unauthorized", query="up")
    api.callers.fail = BadCredential(RefusalReason.EXPIRED)
    answer = await api.http.get("/api/v1/query", params={"query": "up"})
    assert answer.headers["www-authenticate"] == 'Bearer realm="vigie", error="invalid_token"'
    assert answer.json() == {
        "status": "error",
        "errorType": "unauthorized",
        "error": "the credential is not valid: unknown, malformed, expired or revoked",
    }
    measured = (await api.http.get("/internal/metrics")).text
    assert 'vigie_api_refused_credentials_total{reason="expired"} 1.0' in measured


async def test_nothing_of_a_body_is_read_for_strangers(api: Api) -> None:
    api.callers.principal = AnonymousRule.parse("nothing").principal()
    answer = await api.http.post("/api/v1/query", content=b"x" * 100_000)
    assert answer.status_code == 401


async def test_characters_of_a_form_need_not_be_escaped(api: Api) -> None:
    """As `curl -d` sends them."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = 'query=label_replace(vector(1),"ort","München","","")'.encode()
    answer = await api.http.post("/api/v1/query", content=body, headers=form)
    assert answer.json()["data"]["result"][0]["metric"] == {"ort": "München"}


async def test_other_tenants_are_not_there(api: Api) -> None:
    answer = await api.http.get("/api/v1/query", params={"query": "up"}, headers={"x-scope-orgid": "globex"})
    assert (answer.status_code, answer.json()["errorType"]) == (404, "not_found")


async def test_methods_are_refused_by_the_shell(api: Api) -> None:
    answer = await api.http.delete("/api/v1/query")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    assert answer.json() == {
        "status": "error",
        "errorType": "bad_data",
        "error": "DELETE is not allowed here; /api/v1/query takes GET or POST",
    }
    sentence = "there is nothing at /api/v1/targets; /docs lists what there is"
    assert await api.error("targets", 404, "not_found") == sentence
    assert (await api.error("query/", 404, "not_found", query="up")).endswith("without the slash at its end there is")
    elsewhere = await api.http.get("/api/v2/targets")
    assert elsewhere.headers["content-type"] == "application/problem+json"
    head = await api.http.head("/api/v1/query", params={"query": "up"})
    assert (head.status_code, head.content) == (200, b"")


async def test_data_sources_learn_what_they_ask_for(api: Api) -> None:
    assert json.loads(await api.data("status/buildinfo"))["data"]["version"] == "3.5.0"
    assert "2d of 10s windows" in await api.data("status/runtimeinfo")
    assert await api.data("status/config") == '{"status":"success","data":{"yaml":""}}'
    assert json.loads(await api.data("status/flags"))["data"]["query.lookback-delta"] == "5m"
    assert await api.data("query_exemplars", query="up") == '{"status":"success","data":[]}'


async def test_an_expression_is_laid_out_and_taken_apart(api: Api) -> None:
    assert await api.data("format_query", query="sum by(job)(up)/2") == (
        '{"status":"success","data":"sum by (job) (up) / 2"}'
    )
    tree = json.loads(await api.data("parse_query", query="-up"))["data"]
    assert tree["type"] == "unaryExpr"
    assert await api.error("format_query", 400, "bad_data", query="up +") == (
        'invalid parameter "query": 1:5: parse error: unexpected end of input'
    )


async def test_metrics_are_found_by_their_names_and_by_derived_ones(api: Api) -> None:
    api.know(Families())
    names = json.loads(await api.data("label/__name__/values"))["data"]
    assert names == ["bookings", "bookings_total", "seconds", "seconds_bucket", "seconds_count", "seconds_sum", "up"]
    some = json.loads(await api.data("label/__name__/values", **{"match[]": ['{__name__=~"b.*"}', "seconds_sum"]}))
    assert some["data"] == ["bookings", "bookings_total", "seconds_sum"]
    assert await api.data("series", **{"match[]": "seconds_count"}) == (
        '{"status":"success","data":[{"__name__":"seconds_count","job":"a"}]}'
    )
    assert (await api.data("metadata", limit="3")) == (
        '{"status":"success","data":{"bookings":[{"type":"counter","help":"","unit":""}],'
        '"bookings_total":[{"type":"counter","help":"","unit":""}],'
        '"seconds":[{"type":"histogram","help":"","unit":""}]}}'
    )
    up = json.loads(await api.data("metadata", metric="up"))["data"]
    assert [one["type"] for one in up["up"]] == ["counter", "gauge"]
    assert len(json.loads(await api.data("metadata", metric="up", limit_per_metric=1))["data"]["up"]) == 1


async def test_labels_are_those_of_all_series_or_of_those_that_are_selected(api: Api) -> None:
    api.know(Families())
    assert json.loads(await api.data("labels"))["data"] == ["__name__", "job", "le", "zone"]
    assert json.loads(await api.data("labels", **{"match[]": "up"}))["data"] == ["__name__", "job"]
    assert json.loads(await api.data("label/job/values", **{"match[]": "up"}))["data"] == ["a"]
    assert json.loads(await api.data("label/zone/values"))["data"] == ["zone-1", "zone-2"]
    assert "+Inf" in json.loads(await api.data("label/le/values"))["data"]
    cut = json.loads(await api.data("labels", limit=1))
    assert (cut["data"], cut["warnings"]) == (["__name__"], ["results truncated due to limit"])
    escaped = json.loads(await api.data("label/U__a_2e_b__c/values"))["data"]
    assert escaped == ["a.b_c-1", "a.b_c-2"]


async def test_what_is_no_selector_is_refused(api: Api) -> None:
    api.know(Families())
    assert await api.error("series", 400, "bad_data") == "no match[] parameter provided"
    for text in ("up + 1", "up[5m]", "up offset 5m", "1", "up @ 7"):
        error = await api.error("series", 400, "bad_data", **{"match[]": text})
        assert error.startswith('invalid parameter "match[]": must be a selector')
    error = await api.error("labels", 400, "bad_data", **{"match[]": "{}"})
    assert "1:1: parse error: vector selector must contain at least one non-empty matcher" in error
    assert "more than 32 times" in await api.error("labels", 400, "bad_data", **{"match[]": ["up"] * 33})
    await api.error(f"label/{'x' * 1_000}/values", 400, "bad_data")
