"""The functions and aggregation operators that PromQL has: what they take and what they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vigie_query.promql.plan import ValueType

_S, _V, _M, _T = ValueType.SCALAR, ValueType.VECTOR, ValueType.MATRIX, ValueType.STRING


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes, and gives."""

    arguments: tuple[ValueType, ...]
    returns: ValueType = _V
    optional: int = 0
    """How many more than all but the last there may be; -1: any number, all of the last type."""

    @property
    def least(self) -> int:
        return len(self.arguments) - (1 if self.optional else 0)

    @property
    def most(self) -> int | None:
        return None if self.optional < 0 else self.least + self.optional


def _all(names: str, signature: Signature) -> dict[str, Signature]:
    return dict.fromkeys(names.split(), signature)


FUNCTIONS: Final[dict[str, Signature]] = {
    **_all(
        "abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor histogram_avg histogram_count "
        "histogram_stddev histogram_stdvar histogram_sum ln log10 log2 rad sgn sin sinh sort sort_desc sqrt tan tanh "
        "timestamp",
        Signature((_V,)),
    ),
    **_all(
        "absent_over_time avg_over_time changes count_over_time delta deriv first_over_time idelta increase irate "
        "last_over_time mad_over_time max_over_time min_over_time present_over_time rate resets stddev_over_time "
        "stdvar_over_time sum_over_time ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time "
        "ts_of_min_over_time",
        Signature((_M,)),
    ),
    **_all("iqr_outlier_over_time mad_zscore_over_time zscore_over_time", Signature((_M,))),  # Vigie's own
    **_all("day_of_month day_of_week day_of_year days_in_month hour minute month year", Signature((_V,), optional=1)),
    **_all("pi time", Signature((), _S)),
    **_all("clamp_max clamp_min", Signature((_V, _S))),
    **_all("sort_by_label sort_by_label_desc", Signature((_V, _T), optional=-1)),
    "clamp": Signature((_V, _S, _S)),
    "double_exponential_smoothing": Signature((_M, _S, _S)),
    "histogram_fraction": Signature((_S, _S, _V)),
    "histogram_quantile": Signature((_S, _V)),
    "label_join": Signature((_V, _T, _T, _T), optional=-1),
    "label_replace": Signature((_V, _T, _T, _T, _T)),
    "predict_linear": Signature((_M, _S)),
    "quantile_over_time": Signature((_S, _M)),
    "round": Signature((_V, _S), optional=1),
    "scalar": Signature((_V,), _S),
    "seasonal_zscore": Signature((_M, _S, _S), optional=1),  # Vigie's own
    "vector": Signature((_S,)),
}
EXPERIMENTAL: Final = frozenset({
    "end", "histogram_quantiles", "holt_winters", "info", "integral", "range", "start", "step",
})  # fmt: skip
"""Those that Prometheus has behind a feature flag, or had, and that are not here."""

AGGREGATIONS: Final[dict[str, Sequence[ValueType]]] = {
    **dict.fromkeys(("sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"), (_V,)),
    **dict.fromkeys(("topk", "bottomk", "quantile", "limitk", "limit_ratio"), (_S, _V)),
    "count_values": (_T, _V),
}
