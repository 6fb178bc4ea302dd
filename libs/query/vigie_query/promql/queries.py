"""From a question to its answer: read what the plan needs, evaluate it, say what is to be said beside the values."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from vigie_query.ordering import ordered
from vigie_query.promql import calls
from vigie_query.promql.annotations import Annotations
from vigie_query.promql.errors import InvalidExpression, TooManySteps
from vigie_query.promql.evaluation import LOOKBACK_MS, Evaluation
from vigie_query.promql.plan import Node, ValueType
from vigie_query.promql.reading import Read, SamplesReader, wanted
from vigie_query.promql.samples import Floats, Ints, Samples, Vector

MAX_STEPS: Final = 11_000
"""Of a range query after its first one, as in Prometheus."""
Check: TypeAlias = Callable[[], None]
"""Raises when the time for the question is over."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question. Times in Unix milliseconds."""

    text: str
    """As it was asked."""
    node: Node
    """Its plan, from `parsing.parse`."""
    start_ms: int
    end_ms: int
    """The time itself of an instant query: the same as `start_ms`."""
    step_ms: int = 0
    """Of a range query; 0 says that this is an instant query."""
    lookback_ms: int = LOOKBACK_MS

    @property
    def is_range(self) -> bool:
        return self.step_ms > 0

    @property
    def times(self) -> Ints:
        """The steps. Raises TooManySteps."""
        if not self.is_range:
            return np.array([self.start_ms], np.int64)
        if (self.end_ms - self.start_ms) // self.step_ms > MAX_STEPS:
            raise TooManySteps(MAX_STEPS)
        return np.arange(self.start_ms, self.end_ms + 1, self.step_ms, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Answer:
    """The values of an expression. A range query answers a matrix always; a scalar becomes a series without labels."""

    type: ValueType
    value: Vector | Samples | Floats | str
    """Vector at `times` of an instant vector and of every range query; Samples of a range selector; [1] of a scalar."""
    times: Ints
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Numbers in it, about."""
        match self.value:
            case Vector() as vector:
                return vector.size
            case Samples() as samples:
                return len(samples.times) if samples.sketches is None else len(samples.sketches.count)
            case other:
                return len(other)


Compute: TypeAlias = Callable[[Callable[[Check], Answer]], Awaitable[Answer]]
"""Runs work away from the event loop and within its time (`vigie_runtime.expressions.Thinking.run`)."""


async def inline(work: Callable[[Check], Answer]) -> Answer:
    """Computes here and now, without a limit of time."""
    return work(lambda: None)


async def answer(reader: SamplesReader, query: Query, compute: Compute = inline) -> Answer:
    """Raises QueryError: InvalidExpression, TooManySteps, ExecutionError, QueryLimitExceeded; and what reader and
    `compute` raise."""
    times = query.times
    if query.is_range and query.node.type not in (ValueType.SCALAR, ValueType.VECTOR):
        kind = "range vector" if query.node.type is ValueType.MATRIX else query.node.type
        raise InvalidExpression(f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector')
    # The last step may be before the end, to which `@ end()` refers all the same.
    settings = Evaluation({}, query.start_ms, query.end_ms, query.lookback_ms)
    read = await reader.read(wanted(query.node, settings, query.step_ms))
    return await compute(lambda check: evaluate(query, times, read, check))


def evaluate(query: Query, times: Ints, read: Read, check: Check) -> Answer:
    """The answer from what was read. Pure."""
    notes = Annotations()
    notes.take(read.warnings, read.infos)
    evaluation = Evaluation(
        read.samples, query.start_ms, query.end_ms, query.lookback_ms, annotations=notes, check=check
    )
    kind, value = _ranged(evaluation, query, times) if query.is_range else _instant(evaluation, query.node, times)
    return Answer(kind, value, times, *notes.told())


def _ranged(evaluation: Evaluation, query: Query, times: Ints) -> tuple[ValueType, Vector]:
    if query.node.type is ValueType.SCALAR:
        values = evaluation.scalar(query.node, times)[None, :]
        return ValueType.MATRIX, Vector([()], values, np.ones(values.shape, np.bool_))
    found = evaluation.vector(query.node, times)
    return ValueType.MATRIX, found.rows(ordered(range(len(found.labels)), key=found.labels.__getitem__))


def _instant(evaluation: Evaluation, node: Node, times: Ints) -> tuple[ValueType, Vector | Samples | Floats | str]:
    match node.type:
        case ValueType.SCALAR:
            return node.type, evaluation.scalar(node, times)
        case ValueType.STRING:
            return node.type, evaluation.text(node)
        case ValueType.VECTOR:
            return node.type, calls.ordering(node, evaluation.vector(node, times))
        case ValueType.MATRIX:
            return node.type, evaluation.windows(node, times).inside()
