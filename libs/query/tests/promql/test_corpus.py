"""Every evaluation of Prometheus' corpus gives what Prometheus gives, but for those that are listed with a reason."""

from typing import Any

import pytest
from vigie_query.errors import QueryError

from . import corpus

DIVERGENCES = corpus.divergences()


@pytest.mark.parametrize("case", corpus.cases(), ids=corpus.name)
def test_evaluation_is_prometheus_s_unless_listed(case: dict[str, Any]) -> None:
    try:
        answer = corpus.run(case)
    except QueryError as error:
        passes, answer = False, error
    else:
        passes = corpus.same(answer, corpus.expected(case))
    if corpus.name(case) in DIVERGENCES:
        assert not passes, "this one is right now: take it off divergences.txt"
    else:
        assert passes, f"{answer} instead of {corpus.expected(case)}"


def test_every_divergence_is_a_case_and_has_a_reason() -> None:
    assert set(DIVERGENCES) <= {corpus.name(case) for case in corpus.cases()}
    assert all(DIVERGENCES.values())
