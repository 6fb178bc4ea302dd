"""Alerts of a replaced system: one life, the same whenever it is imported."""

from hypothesis import given
from hypothesis import strategies as st
from vigie_alerting.external.past import Past, lived
from vigie_contracts.alerts import AlertState, Reason, Severity

LABELS = (("alertname", "cpu_high"), ("host", "web-1"), ("imported", "65f0"), ("severity", "critical"))


@given(st.integers(0, 2**41), st.integers(0, 10**9), st.sampled_from(["", "ada"]), st.sampled_from(["", "bob"]))
def test_a_life_is_complete_and_always_the_same(begins: int, lasts: int, taken: str, ended: str) -> None:
    said = Past(LABELS, {"summary": "CPU at 97 %"}, begins, begins + lasts, taken, ended)
    once = lived("acme", said)
    alert = once.alert
    assert (alert.state, alert.severity) == (AlertState.RESOLVED, Severity.CRITICAL)
    assert (alert.starts_at, alert.ends_at) == (begins, begins + lasts)
    steps = [(one.from_state, one.to_state, one.actor) for one in once.transitions]
    fired, over = AlertState.FIRING, AlertState.RESOLVED
    middle = [(fired, AlertState.ACKNOWLEDGED, "ada")] if taken else []
    assert steps == [(None, fired, ""), *middle, (AlertState.ACKNOWLEDGED if taken else fired, over, ended)]
    assert once.transitions[-1].reason == (Reason.RESOLVED_BY_HAND if ended else Reason.RECOVERED)
    assert [one.sequence for one in once.transitions] == list(range(1, len(steps) + 1))
    assert lived("acme", said) == once
