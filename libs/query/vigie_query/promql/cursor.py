"""Reading tokens one after the other, and saying what is wrong with one."""

from __future__ import annotations

from typing import Final, NoReturn

from vigie_query.promql.errors import InvalidExpression, Place
from vigie_query.promql.lexing import Kind, Places, Token, quoted, tokens
from vigie_query.promql.signatures import AGGREGATIONS

MAX_NESTING: Final = 64

_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}
_NAMES: Final = {"(": "parenthesis", ")": "parenthesis", "[": "bracket", "]": "bracket", "{": "brace", "}": "brace"}
_KEYWORDS: Final = frozenset({"bool", "by", "without", "on", "ignoring", "group_left", "group_right", "offset"})
_WORD_OPERATORS: Final = frozenset({"and", "or", "unless", "atan2"})


class Cursor:
    """Where the parser is in the text. Every method that takes a token raises InvalidExpression."""

    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self._places = Places(text)
        self._at = 0
        self._open: list[Token] = []
        self.patterns: dict[str, None] = {}
        """The regular expressions so far."""

    def peek(self) -> Token:
        """The next token, which stays."""
        return self._tokens[self._at]

    def after(self) -> Token:
        """The one after the next."""
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    def place(self, token: Token | None = None) -> Place:
        """Of a token; of the next one."""
        return self._places.of((token or self.peek()).start)

    def next(self) -> Token:
        """Take a token."""
        token = self.peek()
        if token.kind in (Kind.ERROR, Kind.END):
            self.unexpected()
        if token.kind is Kind.SIGN:
            self._nest(token)
        self._at += 1
        return token

    def takes(self, sign: str) -> bool:
        """Take this sign, if it is the next token."""
        if self.peek().kind is not Kind.SIGN or self.peek().text != sign:
            return False
        self.next()
        return True

    def takes_word(self, word: str) -> bool:
        """Take this keyword, if it is the next token."""
        if self.peek().word != word:
            return False
        self.next()
        return True

    def expect(self, sign: str, context: str = "", expected: str = "") -> None:
        """Take this sign, which has to come now."""
        if not self.takes(sign):
            self.unexpected(context, expected)

    def unexpected(self, context: str = "", expected: str = "", hint: str | None = None) -> NoReturn:
        """Say that the next token does not fit here."""
        token, place = self.peek(), self.place()
        if token.kind is Kind.ERROR:
            is_dotted = token.text.endswith("'.'") and self._at and self._tokens[self._at - 1].kind is Kind.NAME
            raise InvalidExpression(token.text, place, 'such names stand in quotes: {"a.b"}' if is_dotted else None)
        if token.kind is Kind.END and self._open:
            bracket = self._open[-1]
            name = _NAMES[bracket.text]
            reason = "unclosed left parenthesis" if name == "parenthesis" else f"unexpected end of input inside {name}s"
            raise InvalidExpression(
                reason, place, f'the "{bracket.text}" at {self.place(bracket)} has no "{_CLOSING[bracket.text]}"'
            )
        if token.text in _CLOSING.values() and token.kind is Kind.SIGN and not self._open:
            raise InvalidExpression(f"unexpected right {_NAMES[token.text]} '{token.text}'", place)
        reason = f"unexpected {described(token)}"
        if context:
            reason += f" in {context}"
        if expected:
            reason += f", expected {expected}"
        raise InvalidExpression(reason, place, hint)

    def _nest(self, token: Token) -> None:
        if token.text in _CLOSING:
            self._open.append(token)
            if len(self._open) > MAX_NESTING:
                raise InvalidExpression(f"its brackets are nested more than {MAX_NESTING} deep", self.place(token))
        elif self._open and token.text == _CLOSING[self._open[-1].text]:
            self._open.pop()


def described(token: Token) -> str:
    """As Prometheus names a token in its messages."""
    text = token.text if len(token.text) <= 50 else f"{token.text[:50]}..."
    match token.kind:
        case Kind.END | Kind.ERROR:
            return str(token.kind)
        case Kind.NAME if token.word in _KEYWORDS:
            return f"<{token.word}>"
        case Kind.NAME if token.word in _WORD_OPERATORS:
            return f"<op:{token.word}>"
        case Kind.NAME if token.word in AGGREGATIONS:
            return f"<aggr:{token.word}>"
        case Kind.SIGN if token.text in "(){}[],:=":
            return quoted(token.text)
        case Kind.SIGN:
            return f"<op:{token.text}>"
        case kind:
            return f"{kind} {quoted(text)}"
