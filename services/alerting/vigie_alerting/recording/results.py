"""What a recording rule writes, and when: samples named after it, at the times of its grid. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from vigie_contracts.alerts import Rule
from vigie_contracts.series import Kind, Labels
from vigie_publishing.keys import digest
from vigie_publishing.metric import Sample
from vigie_query.promql.derived import exact_name
from vigie_query.promql.labels import NAME
from vigie_query.promql.reading import Wanted
from vigie_query.promql.samples import Vector

from vigie_alerting.engine.evaluation import EvaluationError
from vigie_alerting.lifecycle import DEFAULT_INTERVAL_MS
from vigie_alerting.rules.checking import MAX_RECORDED

LATEST_MS: Final = 10_000
"""So long after its time what a rule looks at is in memory still."""
PATIENCE_MS: Final = 2_000
"""So long a rule waits for what another one writes at the same time..."""
AGAIN_MS: Final = 50
"""... and so often it looks."""
_PERSON: Final = b"vigie-recording"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a rule gave at one time of its grid: perhaps nothing."""

    rule: Rule
    at_ms: int
    samples: list[Sample]

    @property
    def key(self) -> bytes:
        """Of the rule and the time: who evaluates them once more adds nothing."""
        return digest(_PERSON, self.rule.id.encode(), self.at_ms.to_bytes(8, "little"))


def interval_ms(rule: Rule) -> int:
    """Between two times of its grid, which are multiples of it."""
    return rule.interval_ms or DEFAULT_INTERVAL_MS


def tick(rule: Rule, now_ms: int) -> int:
    """The last time of the rule's grid."""
    return now_ms - now_ms % interval_ms(rule)


def waits_for(wanted: Wanted) -> bool:
    """Whether this is what a recording rule writes for the same time, by the colon in its name."""
    return wanted.last_ms == 0 and ":" in (exact_name(wanted.selector.matchers) or "")


def recorded(rule: Rule, found: Vector, times: Iterable[int]) -> list[Recorded]:
    """What is written of a result, a column for each time. Values that are no finite numbers are left out, as no sample
    of Vigie has one. Raises EvaluationError."""
    if found.histograms is not None and bool(found.histograms.present.any()):
        raise EvaluationError("it gives histograms, and only numbers are recorded: take a function of them")
    labels = [_labels(rule, one) for one in found.labels]
    if len(set(labels)) < len(labels):
        raise EvaluationError("several series of the result have the same labels, with those of the rule")
    limit = min(rule.limit or MAX_RECORDED, MAX_RECORDED)
    made: list[Recorded] = []
    present = found.present & np.isfinite(found.values)
    for column, at_ms in enumerate(times):
        rows = np.flatnonzero(present[:, column]).tolist()
        if len(rows) > limit:
            raise EvaluationError(f"it gives {len(rows):,} series, more than {limit:,}: aggregate, or raise its limit")
        values = found.values[rows, column].tolist()
        samples = [Sample(rule.record, Kind.GAUGE, labels[row], v) for row, v in zip(rows, values, strict=True)]
        made.append(Recorded(rule, at_ms, samples))
    return made


def _labels(rule: Rule, series: Labels) -> Labels:
    """Those of the series without the name, and the rule's own; one that is empty is none."""
    together = {name: text for name, text in series if name != NAME} | rule.labels
    return tuple(sorted((name, text) for name, text in together.items() if text))
