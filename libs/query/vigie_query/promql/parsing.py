"""From the text of an expression to its plan: Prometheus' grammar, by recursive descent.

Whatever can go wrong says where. Recursion goes as deep as brackets and operators do, both of which are bounded.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Final

from vigie_query.promql import checking, selectors
from vigie_query.promql.cursor import Cursor
from vigie_query.promql.errors import InvalidExpression, Place
from vigie_query.promql.lexing import Kind, Token
from vigie_query.promql.literals import duration_ms, number, unquoted
from vigie_query.promql.plan import (
    At,
    Cardinality,
    Matching,
    Negation,
    Node,
    Number,
    Parentheses,
    Range,
    Selector,
    Subquery,
    Text,
    ValueType,
    When,
)
from vigie_query.promql.signatures import AGGREGATIONS

MAX_CHARS: Final = 16_384
MAX_OPERATORS: Final = 200
MAX_KEPT_CHARS: Final = 2_048
"""Plans of longer expressions are not kept: they may be as large as half a megabyte."""

_BINDING: Final = {
    "or": 1, "and": 2, "unless": 2, "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "+": 4, "-": 4,
    "*": 5, "/": 5, "%": 5, "atan2": 5, "^": 6,
}  # fmt: skip
"""How strongly each operator binds. All but `^` begin from the left."""
_POWER: Final = 6
_NO_METRICS: Final = frozenset({"bool", "on", "ignoring", "group_left", "group_right", "atan2"})
"""Words that cannot be the name of a metric unless it is in quotes; of the others where they stand tells."""
_LATEST_S: Final = 253_402_300_799
"""The end of the year 9999."""


def parse(text: str) -> Node:
    """The plan of an expression. Raises InvalidExpression; QueryLimitExceeded where it has too many expressions."""
    return _kept(text) if len(text) <= MAX_KEPT_CHARS else _parsed(text)


def _parsed(text: str) -> Node:
    if len(text) > MAX_CHARS:
        raise InvalidExpression(f"it is longer than {MAX_CHARS:,} characters")
    try:
        text.encode()
    except UnicodeEncodeError as e:
        raise InvalidExpression(f"character {e.start + 1} is no valid Unicode") from None
    return _Parser(text).whole()


_kept = lru_cache(maxsize=1_024)(_parsed)


class _Parser:
    def __init__(self, text: str) -> None:
        self.cursor = Cursor(text)
        self._operators = 0

    def whole(self) -> Node:
        cursor = self.cursor
        if cursor.peek().kind is Kind.END:
            raise InvalidExpression("no expression found in input", cursor.place())
        node = self._expression()
        if cursor.peek().kind is not Kind.END:
            hint = "in PromQL, equality is ==" if cursor.peek().text == "=" else None
            cursor.unexpected(hint=hint)
        return node

    def _expression(self, binding: int = 0) -> Node:
        cursor = self.cursor
        left = self._signed()
        while True:
            token = cursor.peek()
            operator = token.word or token.text
            strength = _BINDING.get(operator, 0) if token.kind in (Kind.SIGN, Kind.NAME) else 0
            if not strength or strength < binding:
                return left
            self._count(token)
            cursor.next()
            returns_bool = cursor.takes_word("bool")
            matching = self._matching()
            right = self._expression(strength if operator == "^" else strength + 1)
            left = checking.binary(
                operator, left, right, matching, returns_bool=returns_bool, place=cursor.place(token)
            )

    def _count(self, token: Token) -> None:
        self._operators += 1
        if self._operators > MAX_OPERATORS:
            raise InvalidExpression(f"it has more than {MAX_OPERATORS} operators", self.cursor.place(token))

    def _signed(self) -> Node:
        cursor = self.cursor
        signs: list[Token] = []
        while cursor.peek().kind is Kind.SIGN and cursor.peek().text in "+-":
            signs.append(cursor.next())
            self._count(signs[-1])
        if not signs:
            return self._suffixed(self._operand())
        node = self._expression(_POWER)
        for sign in reversed(signs):
            if node.type not in (ValueType.SCALAR, ValueType.VECTOR):
                raise InvalidExpression(
                    "unary expression only allowed on expressions of type scalar or instant vector, "
                    f'got "{node.type.sentence}"',
                    cursor.place(sign),
                )
            if sign.text == "+":
                continue
            if isinstance(node, Number):
                node = Number(-node.value, node.is_duration, cursor.place(sign))
            else:
                node = Negation(node, cursor.place(sign))
        return node

    def _operand(self) -> Node:
        cursor = self.cursor
        token, place = cursor.peek(), cursor.place()
        match token.kind:
            case Kind.NUMBER:
                return Number(number(cursor.next(), place), place=place)
            case Kind.DURATION:
                return Number(duration_ms(cursor.next(), place) / 1_000, is_duration=True, place=place)
            case Kind.STRING:
                return Text(unquoted(cursor.next(), place), place)
            case Kind.NAME:
                return self._named(token, place)
            case _ if token.text == "(":
                cursor.next()
                inner = self._expression()
                cursor.expect(")")
                return Parentheses(inner, place)
            case _ if token.text == "{":
                return selectors.selector(cursor)
            case _:
                return cursor.unexpected()

    def _named(self, token: Token, place: Place) -> Node:
        cursor, word, after = self.cursor, token.word, self.cursor.after()
        if word in ("inf", "nan"):
            cursor.next()
            return Number(float(word), place=place)
        if word in AGGREGATIONS and after.text not in ("{", "[", ")", ",") and after.word not in _BINDING:
            if after.text == "(" or after.word in ("by", "without"):
                return self._aggregation(cursor.next(), place)
            if after.kind in (Kind.NAME, Kind.NUMBER, Kind.STRING) and after.word != "offset":
                cursor.next()
                cursor.unexpected("aggregation")
        if after.text == "(" and word not in _NO_METRICS:
            return self._call(cursor.next(), place)
        if word in _NO_METRICS:
            cursor.unexpected()
        return selectors.selector(cursor)

    def _call(self, token: Token, place: Place) -> Node:
        checking.function(token.text, place)
        arguments = self._arguments()
        node = checking.call(token.text, arguments, place)
        if token.text == "label_replace":
            pattern = arguments[4]
            selectors.remember_regex(self.cursor, checking.text_of(pattern), pattern.place)
        return node

    def _aggregation(self, token: Token, place: Place) -> Node:
        grouping = self._grouping()
        arguments = self._arguments()
        if grouping is None:
            grouping = self._grouping()
        without, labels = grouping or (False, ())
        return checking.aggregation(token.word, arguments, labels, without=without, place=place)

    def _grouping(self) -> tuple[bool, tuple[str, ...]] | None:
        word = self.cursor.peek().word
        if word not in ("by", "without"):
            return None
        self.cursor.next()
        return word == "without", selectors.label_names(self.cursor)

    def _arguments(self) -> tuple[Node, ...]:
        cursor = self.cursor
        cursor.expect("(", "aggregation")
        found: list[Node] = []
        while cursor.peek().text != ")":
            found.append(self._expression())
            comma = cursor.peek()
            if not cursor.takes(","):
                break
            if cursor.peek().text == ")":
                raise InvalidExpression("trailing commas not allowed in function call args", cursor.place(comma))
        cursor.expect(")", "function call", '"," or ")"')
        return tuple(found)

    def _matching(self) -> Matching | None:
        """None when nothing says how to match."""
        cursor, first = self.cursor, self.cursor.peek()
        self._refuse_fill()
        if first.word not in ("on", "ignoring"):
            return None
        cursor.next()
        labels = selectors.label_names(cursor)
        cardinality, include = Cardinality.ONE_TO_ONE, ()
        if cursor.peek().word in ("group_left", "group_right"):
            left = cursor.next().word == "group_left"
            cardinality = Cardinality.MANY_TO_ONE if left else Cardinality.ONE_TO_MANY
            # `group_left (...)`: what stands in brackets are labels, even where an operand could.
            include = selectors.label_names(cursor) if cursor.peek().text == "(" else ()
        self._refuse_fill()
        return Matching(cardinality, first.word == "on", labels, include)

    def _refuse_fill(self) -> None:
        if self.cursor.peek().word in ("fill", "fill_left", "fill_right") and self.cursor.after().text == "(":
            raise InvalidExpression(f"the modifier {self.cursor.peek().word} is not supported", self.cursor.place())

    def _suffixed(self, node: Node) -> Node:
        """With all of `[range]`, `[range:step]`, `offset` and `@` that follow."""
        cursor = self.cursor
        while True:
            token = cursor.peek()
            if token.text == "[" and token.kind is Kind.SIGN:
                node = self._ranged(node)
            elif token.word == "offset":
                node = self._offset(node)
            elif token.text == "@":
                node = self._at(node)
            elif token.word in ("anchored", "smoothed") and isinstance(node, Selector | Range):
                raise InvalidExpression(f"the modifier {token.word} is not supported", cursor.place())
            else:
                return node

    def _ranged(self, node: Node) -> Node:
        cursor = self.cursor
        bracket = cursor.place(cursor.next())
        range_ms = selectors.duration(cursor, "subquery or range")
        if not cursor.takes(":"):
            cursor.expect("]", "subquery or range", '":" or "]"')
            return checking.ranged(node, range_ms, bracket)
        step_ms = None
        if cursor.peek().text == ":":
            raise InvalidExpression("aligned subqueries (::) are not supported", cursor.place())
        if cursor.peek().text != "]":
            step_ms = selectors.duration(cursor, "subquery selector")
        cursor.expect("]", "subquery selector", '"]"')
        if node.type is not ValueType.VECTOR:
            raise InvalidExpression(f"subquery is only allowed on instant vector, got {node.type} instead", node.place)
        return Subquery(node, range_ms, step_ms, place=node.place)

    def _offset(self, node: Node) -> Node:
        cursor = self.cursor
        place = cursor.place(cursor.next())
        sign = -1 if cursor.takes("-") else 1
        if sign > 0:
            cursor.takes("+")
        moved = sign * selectors.duration(cursor, "offset", may_be_zero=True)
        when = _when(node, "offset modifier", place)
        if when.offset_ms:
            raise InvalidExpression("offset may not be set multiple times", place)
        return _moved(node, replace(when, offset_ms=moved))

    def _at(self, node: Node) -> Node:
        cursor = self.cursor
        place = cursor.place(cursor.next())
        at = self._timestamp(cursor)
        when = _when(node, "@ modifier", place)
        if when.at is not None:
            raise InvalidExpression("@ <timestamp> may not be set multiple times", place)
        return _moved(node, replace(when, at=at))

    def _timestamp(self, cursor: Cursor) -> int | At:
        if cursor.peek().word in ("start", "end"):
            at = At(cursor.next().word)
            cursor.expect("(", "@ modifier")
            cursor.expect(")", "@ modifier")
            return at
        sign = -1 if cursor.takes("-") else 1
        if sign > 0:
            cursor.takes("+")
        token, place = cursor.peek(), cursor.place()
        if token.kind is Kind.DURATION:
            seconds = duration_ms(token, place) / 1_000
        elif token.kind is Kind.NUMBER:
            seconds = number(token, place)
        elif token.word in ("inf", "nan"):
            seconds = float(token.word)
        else:
            cursor.unexpected("@", "timestamp")
        cursor.next()
        if not seconds <= _LATEST_S:  # NaN neither
            raise InvalidExpression(f"timestamp out of bounds for @ modifier: {sign * seconds:g}", place)
        return sign * round(seconds * 1_000)


def _when(node: Node, modifier: str, place: Place) -> When:
    if isinstance(node, Selector | Range | Subquery):
        return node.when
    raise InvalidExpression(
        f"{modifier} must be preceded by an instant vector selector or range vector selector or a subquery", place
    )


def _moved(node: Node, when: When) -> Node:
    match node:
        case Selector() | Subquery():
            return replace(node, when=when)
        case Range(selector, _):
            return replace(node, selector=replace(selector, when=when))
        case _:
            raise AssertionError(f"{node} has no time of its own")
