"""The simulated app: always metrics that are taken, and whose numbers fit together."""

from hypothesis import given
from hypothesis import strategies as st
from vigie_contracts import names
from vigie_publishing.apps import AppMetrics, judge
from vigie_standalone.demo.app import APP, app_metrics


@given(st.integers(1_700_000_000, 4_000_000_000), st.integers(0, 100))
def test_every_message_is_taken(at: int, seed: int) -> None:
    said = judge(app_metrics(seed, at), APP, at * 1000)
    assert isinstance(said, AppMetrics)
    assert (said.app, said.at_ms, said.timed) == (APP, at * 1000, True)
    values = {one.name: one.value for one in said.samples if one.name != names.APP_METRIC}
    assert 0 <= values[names.APP_CPU_USAGE] <= 100
    assert values[names.APP_MEMORY_USED] + values[names.APP_MEMORY_FREE] == values[names.APP_MEMORY_TOTAL]
    assert len(said.samples) == 8
