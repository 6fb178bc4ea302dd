"""Which series a question is about."""

import pytest
from vigie_contracts.series import Kind
from vigie_query.errors import InvalidParameter
from vigie_storage.series.filter import kinds_of


def test_type_and_temporality_choose_kinds() -> None:
    assert kinds_of(None) is None
    assert kinds_of(["gauge"]) == {Kind.GAUGE}
    assert kinds_of(["counter"]) == {Kind.COUNTER, Kind.CUMULATIVE}
    assert kinds_of(["gauge", "counter"], "delta") == {Kind.COUNTER}
    assert kinds_of(None, "cumulative") == {Kind.CUMULATIVE}


def test_a_temporality_that_no_type_can_have_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="temporality: only a counter has one, not a gauge or histogram"):
        kinds_of(["gauge", "histogram"], "delta")
