"""Unit tests of rules: the same verdicts as promtool's, and what cannot be run is said."""

from __future__ import annotations

import math
import shutil
import subprocess
from pathlib import Path

import pytest
from vigie_alerting.backtest.unit import notation, testfile
from vigie_alerting.backtest.unit.notation import NotationError
from vigie_alerting.backtest.unit.run import run
from vigie_alerting.backtest.unit.testfile import InvalidTestFileError
from vigie_query.promql.samples import STALE

HERE = Path(__file__).parent / "unit"
VERDICTS = {
    "thresholds": ["alertname: QueueIsLong, time: 4m,", "alertname: QueueIsLong, time: 10m,"],
    "recording": ['expr: "sum(job:requests:rate5m) > 100", time: 10m,',
                  r'expr: "scalar(job:requests:rate5m{job=\"web\"})", time: 10m,'],
    "keeping": [],
    "absence": [],
    "latency": [],
    "joins": ["alertname: Top, time: 0s,", "alertname: OverQuota, time: 1m,", "rule: OverQuota, time: 2m0s"],
    "ranges": ['expr: "free[5m]", time: 10m', 'expr: "free +", time: 10m'],
    "alerts": [],
    "ordered": [],
    "budget": [],
    "gaps": ["alertname: Stuck, time: 20m,"],
}  # fmt: skip
"""By file what fails in it."""


def ran(*files: Path) -> tuple[int, list[str]]:
    """The exit code, and all that is said."""
    said: list[str] = []
    return run(files, said.append, said.append), said


def comparable(text: str) -> list[str]:
    """What both say alike: all but the words about an evaluation that fails."""
    return [line for one in text.splitlines() if (line := one.partition(", err:")[0].rstrip())]


@pytest.mark.parametrize("name", VERDICTS)
def test_a_file_has_its_verdict(name: str) -> None:
    code, said = ran(HERE / f"{name}.yml")
    heads = [line.strip() for text in said for line in comparable(text)]
    assert [one for one in heads if one.startswith(("alertname:", "expr:", "rule:"))] == VERDICTS[name]
    assert code == bool(VERDICTS[name])


def test_promtool_says_the_same_of_every_file() -> None:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed: it did not judge the unit tests")
    for name in VERDICTS:
        file = HERE / f"{name}.yml"
        done = subprocess.run([tool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
        code, said = ran(file)
        assert code == done.returncode, name
        mine = comparable("\n".join(said))
        assert sorted(mine) == sorted(comparable(done.stdout + "\n" + done.stderr)), name


def test_the_notation_of_values() -> None:
    assert notation.values("1 -2 +3 .5 1e3 1.5e-1") == [1, -2, 3, 0.5, 1000, 0.15]
    assert notation.values("1+2x3 5x2 1-1x2 -1.5+0.5x1 0x3") == [1, 3, 5, 7, 5, 5, 5, 1, 0, -1, -1.5, -1, 0, 0, 0, 0]
    assert notation.values("_ _x3 1") == [None, None, None, None, 1]
    infinite, not_a_number, minus = notation.values("Inf NaN -Inf")
    assert (infinite, minus) == (math.inf, -math.inf)
    assert not_a_number is not None
    assert math.isnan(not_a_number)
    [stale] = notation.values("stale")
    assert stale is not None
    assert repr(stale) == repr(STALE)


@pytest.mark.parametrize("text", ["x", "1+x3", "1x", "stalex3", "1x99999999", "1+1x9999999", "{{schema:1}}", "1,2"])
def test_values_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(NotationError):
        notation.values(text)


def test_the_notation_of_series() -> None:
    assert notation.series('up{job="a", le="+Inf"}') == (("__name__", "up"), ("job", "a"), ("le", "+Inf"))
    assert notation.series("{}") == notation.series("") == ()
    for text in ('up{job=~"a"}', "up + 1", "up[5m]", "up{"):
        with pytest.raises(NotationError):
            notation.series(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1E+00"), (40, "4E+01"), (0.925, "9.25E-01"), (-1.5e-10, "-1.5E-10"), (1e300, "1E+300"), (0.0, "0E+00")],
)
def test_numbers_are_written_as_promtool_writes_them(value: float, text: str) -> None:
    assert notation.number(value) == text


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("tests: 1", "line 1: tests must be a list"),
        ("tests:\n  - interval: soon", "line 2: interval: 'soon' is no duration"),
        ("evaluation: 1m", "line 1: evaluation is not a field"),
        ("group_eval_order: [a, a]", "line 1: a group is there twice"),
        ("tests:\n  - alert_rule_test:\n      - eval_time: 1m", "misses required attribute alertname"),
        ("tests:\n  - input_series:\n      - series: up\n        values: 1y", "line 3: 1y is no value"),
        ("tests: [", "is no YAML"),
        ("- 1", "must be a mapping"),
        ("tests:\n  - promql_expr_test:\n      - exp_samples: [{histogram: x}]", "without a native histogram"),
    ],
)
def test_a_file_that_cannot_be_run_says_where(text: str, wrong: str) -> None:
    with pytest.raises(InvalidTestFileError, match=wrong.replace("[", r"\[")):
        testfile.read(text)


def test_what_is_missing_or_too_large_fails_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tests.yml"
    file.write_text("rule_files: [rules.yml]\nevaluation_interval: 1ms\ntests: [{promql_expr_test: [{eval_time: 1d}]}]")
    code, said = ran(file, tmp_path / "nothing.yml")
    assert code == 1
    told = "\n".join(said)
    assert "WARNING: no file match pattern" in told
    assert "more than 100,000 evaluations" in told
    assert "nothing.yml cannot be read: No such file" in told
    (tmp_path / "rules.yml").write_text("groups: [{name: a, rules: [{alert: A, expr: 'up +'}]}]")
    assert ran(file)[0] == 1


def test_values_may_differ_where_the_file_says_so(tmp_path: Path) -> None:
    file = tmp_path / "tests.yml"
    text = "tests: [{promql_expr_test: [{expr: 1/3, exp_samples: [{value: 0.333333}]}]}]"
    file.write_text(text)
    assert ran(file)[0] == 1
    file.write_text(f"fuzzy_compare: true\n{text}")
    assert ran(file)[0] == 0
