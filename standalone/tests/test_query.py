"""`vigie query`: what is asked, and how answers and refusals are shown."""

import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner
from vigie_standalone import cli
from vigie_standalone.home import Home, this_process
from vigie_standalone.query import asking, command, showing
from vigie_standalone.query.asking import NoAnswerError, RefusedError, Server, ask
from vigie_standalone.query.series import Answer, Series, answer_of

HERE = Server("http://vigie", "vk_1", "acme")
VECTOR = {
    "resultType": "vector",
    "result": [{"metric": {"__name__": "up", "job": "a\x1b[2J"}, "value": [1_790_000_000.5, "1.5"]}],
}
MATRIX = {
    "resultType": "matrix",
    "result": [
        {"metric": {"__name__": "up", "job": "a"}, "values": [[0, "1"], [15, "NaN"], [30, "2.5"]]},
        {"metric": {"zone": "x,y"}, "values": [[15, "+Inf"]]},
    ],
}


def client(status: int, body: Any, asked: list[httpx2.Request] | None = None) -> httpx2.Client:
    def handle(request: httpx2.Request) -> httpx2.Response:
        if asked is not None:
            asked.append(request)
        return httpx2.Response(status, text=body if isinstance(body, str) else json.dumps(body))

    return httpx2.Client(transport=httpx2.MockTransport(handle))


def success(data: Any, **more: Any) -> Answer:
    body = {"status": "success", "data": data, **more}
    return answer_of(json.dumps(body), body)


def test_a_query_is_sent_as_a_form_with_the_key_and_the_tenant() -> None:
    asked: list[httpx2.Request] = []
    answer = ask(HERE, "query", {"query": "a + b"}, client(200, {"status": "success", "data": VECTOR}, asked))
    [request] = asked
    assert (request.method, str(request.url)) == ("POST", "http://vigie/api/v1/query")
    assert parse_qs(request.content.decode()) == {"query": ["a + b"]}
    assert (request.headers["authorization"], request.headers["x-scope-orgid"]) == ("Bearer vk_1", "acme")
    assert answer.series[0].points == [(1_790_000_000.5, "1.5")]


def test_a_syntax_error_is_marked_where_it_is() -> None:
    body = {"status": "error", "errorType": "bad_data", "error": 'invalid parameter "query": 2:6: parse error: what'}
    with pytest.raises(RefusedError) as refused:
        ask(HERE, "query", {"query": "up\n + ('é')"}, client(400, body))
    assert str(refused.value).split("\n")[1:] == ["   + ('é')", "       ^"]


def test_who_may_not_ask_is_told_about_keys() -> None:
    body = {"status": "error", "errorType": "unauthorized", "error": "this needs a credential"}
    with pytest.raises(RefusedError, match="VIGIE_API_KEY"):
        ask(HERE, "query", {"query": "up"}, client(401, body))


@pytest.mark.parametrize("body", ["<html>", "[]", {"detail": "there is nothing at /api/v1/query"}])
def test_who_answers_something_else_is_no_vigie(body: Any) -> None:
    with pytest.raises(NoAnswerError, match="http://vigie"):
        ask(HERE, "query", {"query": "up"}, client(404, body))


def test_a_table_has_a_line_for_each_series_and_nothing_moves_the_cursor() -> None:
    def shown(data: Any) -> list[list[str]]:
        written = io.StringIO()
        showing.table(success(data), Console(file=written, width=100))
        return [line.split() for line in written.getvalue().splitlines()[3:] if line.strip()]

    assert shown(VECTOR) == [['up{job="a\\x1b[2J"}', "1.5"]]
    assert shown(MATRIX) == [['up{job="a"}', "3", "1", "1.75", "2.5", "2.5"], ['{zone="x,y"}', "1", *["inf"] * 4]]
    assert shown({"resultType": "scalar", "result": [1, "7"]}) == [["{}", "7"]]


def test_histograms_are_shown_by_their_count_and_sum() -> None:
    one = {"count": "3", "sum": "1.5", "buckets": [[0, "0.25", "0.5", "3"]]}
    at_once = success({"resultType": "vector", "result": [{"metric": {"a": "b"}, "histogram": [7, one]}]})
    assert at_once.series[0].points == [(7.0, "count 3, sum 1.5")]
    result = [{"metric": {}, "values": [[30, "2"]], "histograms": [[15, one]]}]
    over_time = success({"resultType": "matrix", "result": result})
    assert over_time.series[0].points == [(15.0, "count 3, sum 1.5"), (30.0, "2")]
    written = io.StringIO()
    showing.table(over_time, Console(file=written, width=100))
    assert written.getvalue().split()[-6:] == ["{}", "2", "2", "2", "2", "2"]


def test_csv_has_a_line_for_each_point() -> None:
    assert showing.as_csv(success(MATRIX)).splitlines() == [
        "time,value,__name__,job,zone",
        "1970-01-01T00:00:00Z,1,up,a,",
        "1970-01-01T00:00:15Z,NaN,up,a,",
        "1970-01-01T00:00:30Z,2.5,up,a,",
        '1970-01-01T00:00:15Z,+Inf,,,"x,y"',
    ]
    assert "2026-09-21T14:13:20.500Z,1.5" in showing.as_csv(success(VECTOR))


def test_a_plot_draws_numbers_and_tells_what_it_leaves_out() -> None:
    drawn = showing.plot(success(MATRIX), 60, colours=False)
    assert 'up{job="a"}' in drawn
    assert "\x1b" not in drawn
    assert "not drawn" not in drawn
    many = Answer("", "matrix", [Series({"i": str(i)}, [(0.0, "1"), (60.0, "2")]) for i in range(10)], ())
    assert showing.plot(many, 60, colours=True).endswith("2 more series are not drawn.\n")
    nothing = Answer("", "matrix", [Series({}, [(0.0, "NaN")])], ())
    assert showing.plot(nothing, 60, colours=True) == "No series has a number to draw.\n"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls: list[Any] = []

    def answered(server: Server, path: str, fields: dict[str, str]) -> Answer:
        calls.append((server, path, fields))
        return success(MATRIX if path == "query_range" else VECTOR, infos=["PromQL info: one\n"])

    monkeypatch.setattr(asking, "ask", answered)
    return calls


def test_the_command_asks_the_running_vigie_for_what_was_said(asked: list[Any], tmp_path: Path) -> None:
    Home(tmp_path).write(this_process("http://localhost:3456"))
    runner, here = CliRunner(), ["--data-dir", str(tmp_path)]
    done = runner.invoke(cli.app, ["query", "up", "--time", "7", "--format", "json", *here])
    assert (done.exit_code, json.loads(done.stdout)["data"]) == (0, VECTOR)
    assert "PromQL info: one\\n" in done.stderr
    ranged = ["query", "up", "--range", "1h", "--time", "2026-01-31T12:00:00Z", *here]
    assert "time,value" in runner.invoke(cli.app, [*ranged, "--step", "5m", "--format", "csv"]).stdout
    assert "┤" in runner.invoke(cli.app, [*ranged, "--plot"]).stdout
    assert [(server.url, path, fields) for server, path, fields in asked] == [
        ("http://localhost:3456", "query", {"query": "up", "time": "7"}),
        *(
            (
                "http://localhost:3456",
                "query_range",
                {"query": "up", "start": "1769857200.0", "end": "1769860800.0", "step": step},
            )
            for step in ("300", "30")
        ),
    ]


def test_what_needs_a_range_is_refused_without_one(asked: list[Any]) -> None:
    assert CliRunner().invoke(cli.app, ["query", "up", "--plot"]).exit_code == 2
    assert not asked
    with pytest.raises(typer.BadParameter):
        command._times("yesterday", "1h", "")
