"""What an expression asks for: a tree of small immutable nodes, made once by `parsing` and evaluated many times.

The `place` of a node is where it begins in the text. Nodes that differ by it only are equal: they ask for the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from vigie_query.matchers import Matcher
from vigie_query.promql.errors import START, Place


class ValueType(StrEnum):
    """The type of an expression, named as Prometheus' API names it."""

    SCALAR = "scalar"
    VECTOR = "vector"
    MATRIX = "matrix"
    STRING = "string"

    @property
    def sentence(self) -> str:
        """As messages name it."""
        return {ValueType.VECTOR: "instant vector", ValueType.MATRIX: "range vector"}.get(self, self.value)


class At(StrEnum):
    """`@ start()` and `@ end()`."""

    START = "start"
    END = "end"


@dataclass(frozen=True, slots=True)
class When:
    """`offset` and `@`, which move the time at which something is looked up."""

    offset_ms: int = 0
    at: int | At | None = None
    """Unix milliseconds, or an end of the query's range."""


NOW: Final = When()


@dataclass(frozen=True, slots=True)
class Number:
    value: float
    is_duration: bool = field(default=False, compare=False)
    """Whether it was written as one: `5m`, which is 300."""
    place: Place = field(default=START, compare=False, repr=False)
    type = ValueType.SCALAR


@dataclass(frozen=True, slots=True)
class Text:
    value: str
    place: Place = field(default=START, compare=False, repr=False)
    type = ValueType.STRING


@dataclass(frozen=True, slots=True)
class Selector:
    """The newest value of each series that matches. Two that are equal read the same series."""

    matchers: tuple[Matcher, ...]
    when: When = NOW
    name: str = field(default="", compare=False)
    """Of the metric, where it was written as such, which is one of the matchers too."""
    place: Place = field(default=START, compare=False, repr=False)
    type = ValueType.VECTOR


@dataclass(frozen=True, slots=True)
class Range:
    """`selector[range]`: the samples of the last `range_ms`."""

    selector: Selector
    range_ms: int
    type = ValueType.MATRIX

    @property
    def when(self) -> When:
        return self.selector.when

    @property
    def place(self) -> Place:
        return self.selector.place


@dataclass(frozen=True, slots=True)
class Subquery:
    """`(expression)[range:step]`: the values of an expression at steps of its own."""

    of: Node
    range_ms: int
    step_ms: int | None
    """None: the engine's default."""
    when: When = NOW
    place: Place = field(default=START, compare=False, repr=False)
    type = ValueType.MATRIX


@dataclass(frozen=True, slots=True)
class Negation:
    of: Node
    place: Place = field(default=START, compare=False, repr=False)

    @property
    def type(self) -> ValueType:
        return self.of.type


@dataclass(frozen=True, slots=True)
class Parentheses:
    of: Node
    place: Place = field(default=START, compare=False, repr=False)

    @property
    def type(self) -> ValueType:
        return self.of.type


class Cardinality(StrEnum):
    ONE_TO_ONE = "one-to-one"
    MANY_TO_ONE = "many-to-one"
    """`group_left`"""
    ONE_TO_MANY = "one-to-many"
    """`group_right`"""
    MANY_TO_MANY = "many-to-many"
    """The set operators."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Which series of two vectors belong together."""

    cardinality: Cardinality = Cardinality.ONE_TO_ONE
    on: bool = False
    """Whether `labels` are those that must be equal, or those that need not."""
    labels: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    """Labels that the result takes from the side of which there is one."""


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: Node
    right: Node
    matching: Matching
    returns_bool: bool = False
    place: Place = field(default=START, compare=False, repr=False)

    @property
    def type(self) -> ValueType:
        scalars = self.left.type is self.right.type is ValueType.SCALAR
        return ValueType.SCALAR if scalars else ValueType.VECTOR


@dataclass(frozen=True, slots=True)
class Aggregation:
    operator: str
    of: Node
    parameter: Node | None
    labels: tuple[str, ...]
    without: bool
    """Whether `labels` are dropped, or the only ones that are kept."""
    place: Place = field(default=START, compare=False, repr=False)
    type = ValueType.VECTOR


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    arguments: tuple[Node, ...]
    type: ValueType
    place: Place = field(default=START, compare=False, repr=False)


Node: TypeAlias = Number | Text | Selector | Range | Subquery | Negation | Parentheses | Binary | Aggregation | Call


def unwrapped(node: Node) -> Node:
    """Without the parentheses around it."""
    while isinstance(node, Parentheses):
        node = node.of
    return node
