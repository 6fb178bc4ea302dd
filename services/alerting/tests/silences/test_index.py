"""The index finds what trying everything finds, and tries little."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vigie_alerting.routing.matchers import Matchers, parse
from vigie_alerting.silences.breadth import asks_for_nothing, fits_no_labels
from vigie_alerting.silences.index import Index, pairs_of
from vigie_query.matchers import Matcher, Operator

names = st.sampled_from(["alertname", "host", "site", "severity"])
values = st.sampled_from(["", "a", "b", "a|b", "db-1", "db-2", "x.y"])
matchers = st.builds(
    Matcher,
    names,
    st.sampled_from(list(Operator)),
    st.sampled_from(
        ["", "a", "b", "a|b", r"a\|b", r"a\|b|db-1", "db-.*", "db-1|db-2", r"x\.y", "x.y", ".+", "a|", "(?i)A"]
    ),
)
labels = st.dictionaries(names, values.filter(bool), max_size=4)


@settings(max_examples=300)
@given(st.lists(st.lists(matchers, max_size=3).map(tuple), max_size=12), st.lists(labels, max_size=5))
def test_it_finds_what_trying_all_of_them_finds(all_: list[tuple[Matcher, ...]], alerts: list[dict[str, str]]) -> None:
    index = Index((one, at) for at, one in enumerate(all_))
    for alert in alerts:
        expected = [at for at, one in enumerate(all_) if Matchers(one).match(alert)]
        assert sorted(index.of(alert)) == expected


@given(matchers, labels)
def test_an_alert_that_fits_has_one_of_the_values_that_are_asked_for(matcher: Matcher, alert: dict[str, str]) -> None:
    pairs = pairs_of(matcher)
    if pairs and Matchers((matcher,)).match(alert):
        assert set(pairs) & set(alert.items())


def test_a_bar_that_is_escaped_separates_nothing() -> None:
    (matcher,) = parse(r'path=~"a\\|b|c"').all
    assert matcher.value == r"a\|b|c"
    assert pairs_of(matcher) == (("path", "a|b"), ("path", "c"))
    assert list(Index([((matcher,), 1)]).of({"path": "a|b"})) == [1]


def test_a_thousand_silences_cost_ten_thousand_alerts_little() -> None:
    index = Index((parse(f'alertname="cpu_high",host="h{at}",zone=~"eu-.*"').all, at) for at in range(1_000))
    alerts = [{"alertname": "cpu_high", "host": f"h{at}", "zone": "eu-1", "severity": "high"} for at in range(10_000)]
    began = time.process_time()
    found = sum(1 for alert in alerts for _ in index.of(alert))
    assert found == 1_000
    assert time.process_time() - began < 1.0, "about 0.03 s"


def test_ten_thousand_are_filed_without_compiling_an_expression() -> None:
    all_ = [parse(f'host=~"h{at}|g{at}",pod!~"test-.*"').all for at in range(10)] * 1_000
    began = time.process_time()
    index = Index((one, at) for at, one in enumerate(all_))
    assert time.process_time() - began < 2.0
    assert (len(index), index.open, index.expressions) == (10_000, 0, {"test-.*"})
    assert len(list(index.of({"host": "g3"}))) == 1_000


@pytest.mark.parametrize(
    ("texts", "nothing"),
    [
        (['alertname=~".+"'], True),
        (['alertname!=""', 'severity!="info"'], True),
        (['host!~"db-.*"', 'site=""'], True),
        (['alertname=~"[^b].*|.*"'], True),
        (['alertname="cpu_high"'], False),
        (['alertname=~".+"', 'site="paris"'], False),
        (['host=~"web-.*"'], False),
    ],
)
def test_matchers_that_narrow_nothing_down_are_known(texts: list[str], nothing: bool) -> None:
    assert asks_for_nothing(parse(texts).all) is nothing


def test_matchers_that_fit_alerts_without_labels_are_known() -> None:
    assert fits_no_labels(parse('site="",host!="a"').all)
    assert not fits_no_labels(parse('site="",host="a"').all)
    assert fits_no_labels(())
