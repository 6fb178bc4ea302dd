"""When nothing can happen: which expressions are known not to leave what their series were."""

from __future__ import annotations

import pytest
from vigie_alerting.backtest.quiet import _joined, is_between  # pyright: ignore[reportPrivateUsage]
from vigie_query.promql.parsing import parse


@pytest.mark.parametrize(
    ("text", "between"),
    [
        ("cpu", True), ("(cpu)", True), ("avg_over_time(cpu[5m])", True), ("quantile_over_time(0.9, cpu[5m])", True),
        ("max by (host) (cpu)", True), ("min(avg_over_time(cpu[1h]))", True), ("avg without (core) (cpu)", True),
        ("sum(cpu)", False), ("-cpu", False), ("cpu * 2", False), ("rate(cpu[5m])", False), ("absent(cpu)", False),
        ("avg_over_time(cpu[5m:1m])", False), ("topk(1, cpu)", False), ("abs(cpu)", False), ("count(cpu)", False),
        ("sum_over_time(cpu[5m])", False), ("max(rate(cpu[5m]))", False), ("vector(1)", False),
    ],
)  # fmt: skip
def test_what_lies_between_the_lowest_and_the_highest(text: str, between: bool) -> None:
    assert is_between(parse(text)) is between


def test_spans_that_meet_are_one() -> None:
    assert _joined([(0, 10), (10, 20), (30, 40), (35, 38)]) == [(0, 20), (30, 40)]
