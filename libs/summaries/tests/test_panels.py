"""The numbers of summaries and dashboards, from samples made by hand."""

import json
import math
from typing import Any

import numpy as np
import pytest
from vigie_contracts import names
from vigie_contracts.latest import Latest
from vigie_contracts.series import Kind
from vigie_query import evaluation
from vigie_query.evaluation import Samples
from vigie_query.functions import Function
from vigie_query.grid import Grid
from vigie_query.series import Selection, Series
from vigie_summaries import application, business, custom, overview, system
from vigie_summaries.families.families import FamilyIndex, LatestTable
from vigie_summaries.numbers import Numbers, percent, rounded
from vigie_windows import fold

NOW = 1_790_000_000_000
Entry = tuple[str, Kind, dict[str, str]]


def series_of(entries: list[Entry]) -> list[Series]:
    return [
        Series(i, name, kind, tuple(sorted(labels.items())), 0, i, NOW)
        for i, (name, kind, labels) in enumerate(entries)
    ]


def numbers_of(entries: list[Entry], values: list[list[float]]) -> Numbers:
    """The values of each series, a second apart."""
    series = series_of(entries)
    kinds = np.zeros(-(-len(series) // 256) * 256, np.uint8)
    kinds[: len(series)] = [int(one.kind) for one in series]
    rows = np.repeat(np.arange(len(series)), [len(own) for own in values])
    times = np.array([NOW + i * 1_000 for own in values for i in range(len(own))], np.int64)
    cells = fold(rows, times, np.array([value for own in values for value in own], np.float64), kinds)
    grid = Grid(np.array([NOW, NOW + 60_000], np.int64), 60_000)
    return Numbers(Selection(series), Samples((cells,), grid, NOW + 60_000))


def latest_of(entries: list[Entry], value: float) -> tuple[FamilyIndex, LatestTable]:
    index, count = FamilyIndex(), len(entries)
    index.add(series_of(entries))
    same = np.full(count, value)
    slots, times, ones = np.arange(count, dtype=np.uint8), np.full(count, NOW, np.int64), np.ones(count, np.int64)
    return index, LatestTable({(0, 0): Latest(slots, times, same, same, ones)})


def everything() -> list[Entry]:
    """Two series of every name that has a meaning, with all labels that a panel looks at."""

    known = (*names.BUSINESS, *names.APPLICATION, *names.SYSTEM)
    return [
        (name, min(names.kinds_of(name)), {"service": one, "host": one, "currency": "EUR", "status": status,
                                           "operation": "find", "step": "cart", "type": "x", "period": "1m"})
        for name in known
        for one, status in (("a", "succeeded"), ("b", "500"))
    ]  # fmt: skip


@pytest.mark.parametrize("value", [1e308, -1e308, 1.7976931348623157e308, 5e-324])
def test_the_greatest_and_least_values_give_answers_that_json_can_say(value: float) -> None:
    entries = everything()
    numbers = numbers_of(entries, [[value, value]] * len(entries))
    index, latest = latest_of(entries, value)
    answers: list[Any] = [
        overview.system_overview(numbers), overview.application_overview(numbers), overview.business_overview(numbers),
        overview.realtime(numbers, overview.levels(index, latest, 0), NOW),
        *custom.custom_metrics(index.families(), latest),
        system.resources(numbers), *system.hosts(numbers), application.work(numbers), *application.services(numbers),
        *application.queries(numbers), business.bookings(numbers), *business.bookings_by_service(numbers),
        *business.money(numbers), *business.money_by_service(numbers), business.payments(numbers),
        business.users(numbers), *business.funnel(numbers), business.satisfaction(numbers), business.sessions(numbers),
    ]  # fmt: skip
    for answer in answers:
        json.dumps(answer.model_dump(), allow_nan=False)
    json.dumps(business.events(numbers), allow_nan=False)


def test_numbers_that_json_cannot_say_are_null() -> None:
    assert [rounded(value) for value in (math.inf, -math.inf, math.nan, None)] == [None] * 4
    assert percent(1e308, 1e308) == 100
    assert percent(1e308, 1e-308) is None
    assert percent(1.0, math.inf) is None
    assert percent(29.0, 100.0) == 29


def test_each_number_is_evaluated_once_for_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = 50
    numbers = numbers_of([(names.CPU_USAGE, Kind.GAUGE, {"host": f"{i:02}"}) for i in range(hosts)], [[1.0]] * hosts)
    runs: list[Function] = []
    run = evaluation.Evaluation.run

    def counted(self: evaluation.Evaluation, function: Function) -> Any:
        runs.append(function)
        return run(self, function)

    monkeypatch.setattr(evaluation.Evaluation, "run", counted)
    assert len(system.hosts(numbers)) == hosts
    # Of whole hosts, and once more for the cores, of which there are none.
    assert sorted(runs) == sorted({Function.AVG, Function.MIN, Function.MAX, Function.LAST})


def test_services_are_told_apart_whatever_their_names_hold() -> None:
    services = ["plain", 'quo"te', "back\\slash", "new\nline", 'x,service="y', ""]
    entries: list[Entry] = [("revenue", Kind.COUNTER, {"aservice": "no", "service": one}) for one in services[:-1]]
    entries += [("revenue", Kind.COUNTER, {"a.b": "utf-8 labels", "service": "plain"}), ("revenue", Kind.COUNTER, {})]
    index, latest = latest_of(entries, 2.0)
    (revenue,) = custom.custom_metrics(index.families(), latest)
    assert {one.service: one.value for one in revenue.by_service} == {
        "plain": 4, 'quo"te': 2, "back\\slash": 2, "new\nline": 2, 'x,service="y': 2,
    }  # fmt: skip
    assert (revenue.services, revenue.series, revenue.value) == (5, 7, 14)
