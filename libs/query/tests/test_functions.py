"""Which functions are for which series, together and alone."""

import pytest
from vigie_contracts.series import Kind
from vigie_query.errors import FunctionNotApplicable, MixedKinds
from vigie_query.functions import Function, check_applicable


@pytest.mark.parametrize("function", list(Function))
@pytest.mark.parametrize("other", [Kind.COUNTER, Kind.CUMULATIVE, Kind.HISTOGRAM])
def test_series_of_several_types_have_no_number_together(function: Function, other: Kind) -> None:
    with pytest.raises(MixedKinds, match=rf"^type: .*\(.*gauge.*\).*choose .*type={other.type}"):
        check_applicable(function, "x", [Kind.GAUGE, other])


def test_increments_and_totals_are_only_counted_together_as_growth() -> None:
    for function in Function:
        if function in (Function.SUM, Function.INCREASE, Function.RATE):
            check_applicable(function, "x", [Kind.COUNTER, Kind.CUMULATIVE])
        else:
            with pytest.raises(MixedKinds, match="temporality=delta or temporality=cumulative"):
                check_applicable(function, "x", [Kind.COUNTER, Kind.CUMULATIVE])


def test_some_functions_mean_nothing_for_a_type() -> None:
    with pytest.raises(FunctionNotApplicable, match="no distribution"):
        check_applicable(Function.P95, "x", [Kind.COUNTER])
    with pytest.raises(FunctionNotApplicable, match="goes up and down"):
        check_applicable(Function.RATE, "x", [Kind.GAUGE])
    check_applicable(Function.AVG, "x", [])
