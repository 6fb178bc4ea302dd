"""What fits together: the types, the numbers of arguments and the matching of every node, with Prometheus' messages."""

from __future__ import annotations

from difflib import get_close_matches

from vigie_query.promql import aggregation as aggregations
from vigie_query.promql import binary as binaries
from vigie_query.promql import calls
from vigie_query.promql.errors import InvalidExpression, Place
from vigie_query.promql.lexing import quoted
from vigie_query.promql.plan import (
    Aggregation,
    Binary,
    Call,
    Cardinality,
    Matching,
    Node,
    Range,
    Selector,
    Text,
    ValueType,
    unwrapped,
)
from vigie_query.promql.signatures import AGGREGATIONS, EXPERIMENTAL, FUNCTIONS


def function(name: str, place: Place) -> None:
    """Whether there is such a function here. Raises InvalidExpression."""
    if name in FUNCTIONS and name in calls.NAMES:
        return
    if name in EXPERIMENTAL or name in FUNCTIONS:
        raise InvalidExpression(f"the function {name} is not supported", place)
    close = get_close_matches(name, [*FUNCTIONS, *AGGREGATIONS], 1)
    hint = f"did you mean {close[0]}?" if close else None
    raise InvalidExpression(f"unknown function with name {quoted(name)}", place, hint)


def call(name: str, arguments: tuple[Node, ...], place: Place) -> Call:
    """Of a function that there is."""
    signature = FUNCTIONS[name]
    least, most, count = signature.least, signature.most, len(arguments)
    if count < least or (most is not None and count > most):
        how = "" if least == most else "at least " if count < least else "at most "
        raise InvalidExpression(
            f"expected {how}{least if count < least else most} argument(s) in call to {quoted(name)}, got {count}",
            place,
        )
    for number, argument in enumerate(arguments):
        wanted = signature.arguments[min(number, len(signature.arguments) - 1)]
        expect_type(argument, wanted, f"call to function {quoted(name)}")
    return Call(name, arguments, signature.returns, place)


def expect_type(node: Node, wanted: ValueType, context: str) -> None:
    """Raises InvalidExpression."""
    if node.type is wanted:
        return
    hint = None
    if wanted is ValueType.MATRIX and isinstance(node, Selector):
        hint = "add a range: [5m]"
    elif wanted is ValueType.MATRIX and node.type is ValueType.VECTOR:
        hint = "a subquery makes a range of an expression: [5m:]"
    raise InvalidExpression(f"expected type {wanted.sentence} in {context}, got {node.type.sentence}", node.place, hint)


def text_of(node: Node) -> str:
    """Of a string, which may stand in parentheses."""
    node = unwrapped(node)
    return node.value if isinstance(node, Text) else ""


def aggregation(
    operator: str, arguments: tuple[Node, ...], labels: tuple[str, ...], *, without: bool, place: Place
) -> Aggregation:
    """Of an operator that Prometheus has."""
    if operator not in aggregations.OPERATORS:
        raise InvalidExpression(f"the aggregation operator {operator} is not supported", place)
    types = AGGREGATIONS[operator]
    if not arguments:
        raise InvalidExpression("no arguments for aggregate expression provided", place)
    if len(arguments) != len(types):
        raise InvalidExpression(
            f"wrong number of arguments for aggregate expression provided, expected {len(types)}, got {len(arguments)}",
            place,
        )
    expect_type(arguments[-1], ValueType.VECTOR, "aggregation expression")
    parameter = arguments[0] if len(types) > 1 else None
    if parameter is not None:
        expect_type(parameter, types[0], "aggregation parameter")
    return Aggregation(operator, arguments[-1], parameter, labels, without, place)


def binary(
    operator: str, left: Node, right: Node, matching: Matching | None, *, returns_bool: bool, place: Place
) -> Binary:
    """`place`: of the operator, where most of what can be wrong is."""
    scalars = (left.type is ValueType.SCALAR) + (right.type is ValueType.SCALAR)
    if returns_bool and operator not in binaries.COMPARISONS:
        raise InvalidExpression("bool modifier can only be used on comparison operators", place)
    if operator in binaries.COMPARISONS and scalars == 2 and not returns_bool:
        raise InvalidExpression(
            "comparisons between scalars must use BOOL modifier", place, f"write {operator} bool, which gives 0 or 1"
        )
    twice = set(matching.labels) & set(matching.include) if matching and matching.on else set[str]()
    if twice:
        raise InvalidExpression(f"label {quoted(min(twice))} must not occur in ON and GROUP clause at once", place)
    for side in (left, right):
        if side.type not in (ValueType.SCALAR, ValueType.VECTOR):
            raise InvalidExpression("binary expression must contain only scalar and instant vector types", side.place)
    if operator in binaries.SETS:
        if scalars:
            raise InvalidExpression(
                f"set operator {quoted(operator)} not allowed in binary scalar expression", left.place
            )
        if matching and matching.cardinality is not Cardinality.ONE_TO_ONE:
            raise InvalidExpression(f"no grouping allowed for {quoted(operator)} operation", left.place)
        on, labels = (matching.on, matching.labels) if matching else (False, ())
        return Binary(operator, left, right, Matching(Cardinality.MANY_TO_MANY, on, labels), place=left.place)
    if scalars and matching and matching.labels:
        raise InvalidExpression("vector matching only allowed between instant vectors", left.place)
    if scalars or matching is None:
        matching = Matching()
    return Binary(operator, left, right, matching, returns_bool, left.place)


def ranged(node: Node, range_ms: int, bracket: Place) -> Range:
    """`node[range]`, of a selector that nothing has moved yet."""
    if not isinstance(node, Selector):
        raise InvalidExpression(
            "ranges only allowed for vector selectors", bracket, "a subquery makes a range of an expression: [5m:]"
        )
    if node.when.offset_ms:
        raise InvalidExpression("no offset modifiers allowed before range", bracket, "write [5m] offset 1m")
    if node.when.at is not None:
        raise InvalidExpression("no @ modifiers allowed before range", bracket, "write [5m] @ 0")
    return Range(node, range_ms)
