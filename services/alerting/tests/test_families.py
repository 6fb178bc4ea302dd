"""Rules that are evaluated together: bit by bit what each gives alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from vigie_alerting.engine.active_rule import ActiveRule
from vigie_alerting.engine.engine import Engine
from vigie_alerting.engine.evaluation import evaluate
from vigie_contracts.series import Kind

from services.alerting.tests.test_engine import NOW, Lab, expression, states

FORMS = (
    "deriv({}[5m])", "rate({}[1m]) * 60", "increase({}[5m])", "sum(rate({}[2m]))", "delta({}[5m]) > 0.25",
    "avg by (host) (avg_over_time({}[5m]))", "sum without (host) ({}) / 3", "-max_over_time({}[3m] offset 1m)",
    "100 - {} % 7", "stddev(sum_over_time({}[5m]))", "stdvar_over_time({}[5m])", "mad_over_time({}[5m])",
    "count(changes({}[5m]))", "min(sqrt(abs({})))", "last_over_time({}[1m])", "avg({})", "sum_over_time({}[40s])",
    "ceil({} / 3)", "irate({}[5m])", "zscore_over_time({}[5m]) > -1e9", "mad_zscore_over_time({}[5m])",
    "iqr_outlier_over_time({}[5m])",
)  # fmt: skip
APART = (
    "ln({})", "{} ^ 0.3", "topk(1, {})", "absent({})", "{0} / {0}", "quantile(0.5, {})", "sum({0}) > scalar({0})",
    "max_over_time(rate({}[1m])[5m:1m])", "predict_linear({}[5m], 60)", "histogram_quantile(0.9, {})",
    "seasonal_zscore({}[5m], 1m, 30s)",
)  # fmt: skip
METRICS = tuple(f"m{number}" for number in range(5))
KINDS = st.sampled_from([Kind.GAUGE, Kind.GAUGE, Kind.CUMULATIVE, Kind.COUNTER])
VALUES = st.one_of(
    st.integers(0, 1_000).map(float), st.floats(-1e6, 1e6), st.sampled_from([0.1, 1e-9, 3e15, 1e300, 5.0, 0.0])
)
SAMPLES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 400_000), VALUES), max_size=30)


def alone(engine: Engine, rule: ActiveRule) -> dict[object, bytes]:
    data = {one.wanted.selector: engine.memory.read(watch, one, NOW) for one, watch in rule.inputs}
    found = evaluate(rule.compiled.value, data, np.array([NOW], np.int64))
    assert found.present.all()
    return dict(zip(found.labels, (row.tobytes() for row in found.values), strict=True))


@example("increase({}[5m])", [(Kind.COUNTER, [("b", 0, 3.0)]), (Kind.COUNTER, [("a", 0, -0.0)])])
@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(FORMS),
    st.lists(st.tuples(KINDS, SAMPLES), min_size=2, max_size=len(METRICS)),
)
def test_what_a_rule_gives_is_to_the_last_bit_what_it_gives_alone(
    form: str, metrics: list[tuple[Kind, list[tuple[str, int, float]]]]
) -> None:
    lab = Lab(*(expression(form.format(name), id=name) for name in METRICS[: len(metrics)]))
    for name, (kind, samples) in zip(METRICS, metrics, strict=False):
        for host, back_ms, value in samples:
            lab.send(name, value, NOW - back_ms, kind, host=host, part="x")
    rules = list(lab.engine.rules.values())
    family = rules[0].family
    assert family is not None
    assert all(rule.family is family for rule in rules)
    taken = [rule for rule in rules if family.takes(rule.inputs[0][1])]
    watches = [rule.inputs[0][1] for rule in taken]
    found = family.evaluate(lab.engine.memory, watches, np.array([NOW], np.int64), NOW, lambda: None) if taken else []
    for rule, own in zip(taken, found, strict=True):
        together = dict(zip(own.labels, (row.tobytes() for row in own.values), strict=True))
        assert together == alone(lab.engine, rule)


@pytest.mark.parametrize("form", APART)
def test_what_may_depend_on_others_is_evaluated_alone(form: str) -> None:
    lab = Lab(expression(form.format("cpu")))
    assert lab.engine.rules["r1"].family is None


def test_running_totals_are_rounded_together_and_are_evaluated_alone() -> None:
    lab = Lab(expression("avg_over_time(cpu[5m]) > 1"), expression("rate(cpu[5m]) > 1", id="r2"))
    lab.send("cpu", 1.5, NOW, Kind.COUNTER)
    for rule in lab.engine.rules.values():
        assert rule.family is not None
        assert rule.family.takes(rule.inputs[0][1]) is (rule.id == "r2")


def test_each_of_many_rules_of_one_form_fires_for_its_own_series() -> None:
    names = [f"m{number}" for number in range(250)]
    lab = Lab(*(expression(f"sum(max_over_time({name}[1m])) > 80", id=name) for name in names))
    for number, name in enumerate(names):
        lab.send(name, 95 if number % 50 == 7 else 5, NOW, host="a")
        lab.send(name, 10, NOW, host="b")
    made = [one for _ in range(3) for one in lab.run(NOW)]
    assert sorted(one.rule_id for one in made) == sorted(f"m{number}" for number in range(7, 250, 50))
    assert {one.value for one in made} == {105.0}
    assert all(rule.evaluated_ms == NOW for rule in lab.engine.rules.values())


def test_a_rule_that_cannot_be_evaluated_does_not_keep_the_others_of_its_form_from_it() -> None:
    names = ["m1", "m2", "m3"]
    lab = Lab(*(expression(f'rate({{__name__=~"{name}|{name}b"}}[1m]) > 0', id=name) for name in names))
    for at in (0, 5_000):
        for name in (*names, "m2b"):
            lab.send(name, 1.0 + at, NOW - 10_000 + at, host="a")
    assert len({rule.family for rule in lab.engine.rules.values()}) == 1
    made = lab.run(NOW)
    assert sorted(one.rule_id for one in made) == ["m1", "m3"]
    assert states(made) == ["firing", "firing"]
    assert "same labelset" in lab.engine.rules["m2"].error


def test_a_family_goes_with_its_last_rule() -> None:
    lab = Lab(expression("deriv(cpu[5m]) > 1"))
    known = lab.engine._families._known  # pyright: ignore[reportPrivateUsage]
    assert len(known) == 1
    lab.engine.remove("r1")
    assert len(known) == 0
