"""A log that was recorded is replayed: what it makes of alerts is the same, byte for byte."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
from vigie_contracts.alerts import AlertState, Transition
from vigie_contracts.series import Kind

from services.alerting.tests.test_engine import NOW, Lab, expression, states


def test_a_recorded_log_gives_the_same_transitions_byte_for_byte() -> None:
    """Several rules, late samples, a clock that goes back, and a rule that is changed meanwhile."""
    first = replayed(recorded_log())
    assert len(first) >= 50
    assert {one.rule_id for one in first} == {rule.rule.id for rule in SEVERAL}
    assert {AlertState.PENDING, AlertState.FIRING, AlertState.RESOLVED} <= set(states(first))
    assert msgspec.json.encode(first) == msgspec.json.encode(replayed(recorded_log()))
    told: dict[str, Transition] = {}
    for one in first:  # a clock that goes back makes none that is older than the one before
        before = told.get(one.fingerprint)
        assert before is None or one.timestamp >= before.timestamp
        told[one.fingerprint] = one


SEVERAL = [
    expression("sum by (host) (rate(errors[1m])) > 0.1", id="rates", for_ms=2_000),
    expression("sum(increase(errors[30s])) > 10", id="sums", keep_firing_for_ms=4_000),
    expression("cpu > 80", id="levels", annotations={"summary": "{{ $labels.host }} at {{ $value | humanize }}"}),
    expression("max by (host) (cpu) / 100 > 0.9", id="ratios", interval_ms=5_000),
    expression("absent(beat)", id="silence"),
    expression("histogram_quantile(0.9, sum by (le) (rate(latency_bucket[1m]))) > 0.9", id="percentiles"),
]
Entry = tuple[int, str, float, int, Kind, str]
"""When it was read, name, value, time of the sample, kind, host."""


def recorded_log() -> list[Entry]:
    """Four minutes: half of the samples are late, some of those by more than a minute; twice the clock goes back."""
    rng = np.random.default_rng(7)
    log: list[Entry] = []
    for i in range(350):
        read = NOW + i * 700 - (5_000 if 100 <= i < 105 or 230 <= i < 260 else 0)
        late = int(rng.integers(0, 4_000)) if rng.random() < 0.5 else 0
        late *= 25 if rng.random() < 0.25 else 1
        host = f"h{rng.integers(0, 5)}"
        name, value, kind = (
            ("errors", float(rng.integers(0, 3)), Kind.COUNTER),
            ("cpu", float(rng.integers(40, 100)), Kind.GAUGE),
            ("latency", float(rng.exponential(0.4)), Kind.HISTOGRAM),
            ("beat", 1.0, Kind.GAUGE),
        )[int(rng.integers(0, 4 if i > 200 else 3))]
        log.append((read, name, value, read - late, kind, host))
    return log


def replayed(log: Iterable[Entry]) -> list[Transition]:
    """A rule is changed in the midst of it."""
    lab = Lab(*SEVERAL)
    for i, (read, name, value, at, kind, host) in enumerate(log):
        if i == 150:
            lab.put(expression("cpu > 85", id="levels"))
        lab.send(name, value, at, kind, host=host)
        lab.run(read)
    return lab.transitions
