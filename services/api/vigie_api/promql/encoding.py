"""The bodies of answers, as Prometheus writes them. Columns become text directly: millions of points as objects would
take longer than reading and computing them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import add
from typing import Any, Final

import msgspec
import numpy as np
from vigie_contracts.series import Labels
from vigie_query.errors import QueryLimitExceeded
from vigie_query.promql.numbers import number_text
from vigie_query.promql.plan import ValueType
from vigie_query.promql.queries import Answer
from vigie_query.promql.samples import Bools, Floats, Samples, Vector

from vigie_api.promql.histograms import WEIGHT, of_samples, of_vector
from vigie_api.promql.numbers import seconds, texts

TRUNCATED: Final = "results truncated due to limit"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one answer."""

    series: int | None
    """More are left out, with a warning; None for all."""
    points: int
    """More are refused."""


def success(data: bytes, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> bytes:
    """The whole body, around data that is JSON already."""
    notes = "".join(
        f',"{name}":{msgspec.json.encode(notes).decode()}'
        for name, notes in (("warnings", warnings), ("infos", infos))
        if notes
    )
    return b"".join((b'{"status":"success","data":', data, notes.encode(), b"}"))


def listed(found: Sequence[Any], limit: int | None) -> bytes:
    """The whole body of a list, cut at the limit."""
    cut = limit is not None and len(found) > limit
    return success(msgspec.json.encode(found[:limit]), [TRUNCATED] if cut else [])


def encoded(answer: Answer, bounds: Bounds) -> bytes:
    """The whole body of an answer to a query. Raises QueryLimitExceeded."""
    warnings = list(answer.warnings)
    match answer.value:
        case str() as text:
            result = json.dumps([_plain_seconds(answer), text], ensure_ascii=False, separators=(",", ":"))
        case Vector() | Samples() as found:
            if bounds.series is not None and len(found.labels) > bounds.series:
                found = found.rows(range(bounds.series))
                warnings.append(TRUNCATED)
            _check(found, bounds.points)
            result = f"[{','.join(_series(answer, found))}]"
        case scalar:
            result = json.dumps([_plain_seconds(answer), number_text(float(scalar[0]))], separators=(",", ":"))
    return success(f'{{"resultType":"{answer.type}","result":{result}}}'.encode(), warnings, answer.infos)


def _check(found: Vector | Samples, most: int) -> None:
    if isinstance(found, Vector):
        histograms = 0 if found.histograms is None else int(found.histograms.present.sum())
        points = int(found.present.sum()) + histograms * (WEIGHT - 1)
    else:
        points = len(found.times) + int(np.diff(found.bounds)[found.histogram].sum()) * (WEIGHT - 1)
    if points > most:
        raise QueryLimitExceeded(
            f"the answer would have {points:,} points, more than the {most:,} that one answer may have: select fewer "
            "series, a shorter time or a longer step"
        )


def _plain_seconds(answer: Answer) -> int | float:
    """Of scalars and strings, whose times are numbers like any other."""
    at = int(answer.times[0])
    return at // 1_000 if at % 1_000 == 0 else at / 1_000


def _series(answer: Answer, found: Vector | Samples) -> Iterator[str]:
    match found:
        case Samples():
            return _of_samples(found)
        case Vector() if answer.type is ValueType.MATRIX:
            return _over_time(found, answer.times.tolist())
        case Vector():
            return _at_once(found, int(answer.times[0]))


def _head(timestamp_ms: int) -> str:
    return f'[{seconds(timestamp_ms)},"'


def _heads(times: Sequence[int]) -> list[str]:
    if any(at % 1_000 for at in times):
        return list(map(_head, times))
    return [f'[{at // 1_000},"' for at in times]


def _metric(labels: Labels) -> str:
    return msgspec.json.encode(dict(labels)).decode()


def _at_once(found: Vector, at: int) -> Iterator[str]:
    """Instant vectors."""
    head, values = _head(at), texts(found.values[:, 0])
    histograms = of_vector(found.histograms, [at])
    for row in np.flatnonzero(found.present[:, 0]).tolist():
        one = f'"histogram":{histograms[row][0]}' if row in histograms else f'"value":{head}{values[row]}"]'
        yield f'{{"metric":{_metric(found.labels[row])},{one}}}'


def _over_time(found: Vector, times: Sequence[int]) -> Iterator[str]:
    """Range queries."""
    heads, histograms = _heads(times), of_vector(found.histograms, times)
    for row, (labels, values, present) in enumerate(zip(found.labels, found.values, found.floats, strict=True)):
        yield from _one(labels, _points(values, present, heads), histograms.get(row, ()))


def _of_samples(found: Samples) -> Iterator[str]:
    """Range selectors."""
    histograms = of_samples(found)
    for row, labels in enumerate(found.labels):
        own = slice(0, 0) if row in histograms else slice(*found.bounds[row : row + 2].tolist())
        points = _joined(_heads(found.times[own].tolist()), texts(found.values[own]))
        yield from _one(labels, points, histograms.get(row, ()))


def _one(labels: Labels, points: str, histograms: Sequence[str]) -> Iterator[str]:
    """A series over time; none when it has neither numbers nor histograms."""
    parts = [f'"values":[{points}]'] if points else []
    if histograms:
        parts.append(f'"histograms":[{",".join(histograms)}]')
    if parts:
        yield f'{{"metric":{_metric(labels)},{",".join(parts)}}}'


def _points(values: Floats, present: Bools, heads: Sequence[str]) -> str:
    """`[1,"2"],[3,"4"]`; empty when there are none."""
    if present.all():
        return _joined(heads, texts(values))
    chosen = np.flatnonzero(present)
    return _joined([heads[step] for step in chosen.tolist()], texts(values[chosen]))


def _joined(heads: Iterable[str], values: Sequence[str]) -> str:
    return '"],'.join(map(add, heads, values)) + '"]' if values else ""
