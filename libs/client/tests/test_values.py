"""What can be recorded, and what is refused before it is kept."""

import json
import math
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_client.series import Sample, Series
from vigie_client.values import MetricType, NotRecordable, number, texts


@pytest.mark.parametrize(
    "value", [3, 2.5, -1, np.float32(2.5), np.int64(7), np.float64(1.5), Decimal("2.5"), Fraction(1, 4), 2**60, 0]
)
def test_number_of_any_type_is_taken_as_python_number(value) -> None:
    taken = number(MetricType.GAUGE, value)
    assert taken == value
    assert type(taken) in (int, float)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "3", b"3", True, None, [], 10**400, 1j, object()])
def test_what_is_no_finite_number_is_refused(value) -> None:
    with pytest.raises(NotRecordable):
        number(MetricType.GAUGE, value)


def test_counter_that_goes_down_is_refused_and_gauge_is_not() -> None:
    assert number(MetricType.GAUGE, -1) == -1
    with pytest.raises(NotRecordable):
        number(MetricType.COUNTER, -0.5)


class Colour(StrEnum):
    RED = "red"


def test_labels_become_text_as_in_the_gateway() -> None:
    assert texts({"a": 1, "b": True, "c": 2.5, "d": Colour.RED, "e": "e"}) == {
        "a": "1",
        "b": "true",
        "c": "2.5",
        "d": "red",
        "e": "e",
    }
    given_ = {"a": "b"}
    assert texts(given_) is given_
    with pytest.raises(NotRecordable):
        texts({"a": ["b"]})


@given(
    st.text(), st.dictionaries(st.text(), st.text()), st.floats(allow_nan=False, allow_infinity=False) | st.integers()
)
def test_encoded_sample_is_the_json_of_what_was_recorded(name: str, labels: dict[str, str], value: float) -> None:
    item = json.loads(Sample(Series(MetricType.GAUGE, name, labels), 1_700_000_000_000, value, 1).encoded())
    assert item == {
        "name": name,
        "type": "gauge",
        "labels": labels,
        "value": value,
        "timestamp": 1_700_000_000_000,
    }
