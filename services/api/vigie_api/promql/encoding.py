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
    points = int(found.present.sum()) if isinstance(found, Vector) else len(found.times)
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
            return _over_time(found, [_head(at) for at in answer.times.tolist()])
        case Vector():
            return _at_once(found, _head(int(answer.times[0])))


def _head(timestamp_ms: int) -> str:
    return f'[{seconds(timestamp_ms)},"'


def _metric(labels: Labels) -> str:
    return msgspec.json.encode(dict(labels)).decode()


def _at_once(found: Vector, head: str) -> Iterator[str]:
    """Instant vectors."""
    rows = np.flatnonzero(found.present[:, 0]).tolist()
    for row, value in zip(rows, texts(found.values[rows, 0]), strict=True):
        yield f'{{"metric":{_metric(found.labels[row])},"value":{head}{value}"]}}'


def _over_time(found: Vector, heads: Sequence[str]) -> Iterator[str]:
    """Range queries."""
    for labels, values, present in zip(found.labels, found.values, found.present, strict=True):
        if points := _points(values, present, heads):
            yield f'{{"metric":{_metric(labels)},"values":[{points}]}}'


def _points(values: Floats, present: Bools, heads: Sequence[str]) -> str:
    """`[1,"2"],[3,"4"]`; empty when there are none."""
    if present.all():
        return _joined(heads, texts(values))
    chosen = np.flatnonzero(present)
    return _joined([heads[step] for step in chosen.tolist()], texts(values[chosen]))


def _of_samples(found: Samples) -> Iterator[str]:
    """Range selectors."""
    heads, values = list(map(_head, found.times.tolist())), texts(found.values)
    for row, labels in enumerate(found.labels):
        begin, end = int(found.bounds[row]), int(found.bounds[row + 1])
        yield f'{{"metric":{_metric(labels)},"values":[{_joined(heads[begin:end], values[begin:end])}]}}'


def _joined(heads: Iterable[str], values: Sequence[str]) -> str:
    return '"],'.join(map(add, heads, values)) + '"]' if values else ""
