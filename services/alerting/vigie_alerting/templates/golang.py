"""The Go templates that Prometheus' rule files use, as Jinja: same texts, and a sentence for what is not supported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from vigie_alerting.templates.errors import InvalidTemplateError
from vigie_alerting.templates.filters import PROMETHEUS

_ACTION: Final = re.compile(r"\{\{(-(?=\s))?(.*?)((?<=\s)-)?\}\}", re.DOTALL)
_GO: Final = re.compile(
    r"\{\{-?\s*(?:(?:else\s+)?if\b|range\b|with\b|end\b|else\b|define\b|template\b|printf\b|/\*|index\b|\.|[A-Za-z]\w*\s+[\"`$.(\d])|\{\{[^}]*\$"
)
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<path>[$.][A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)|(?P<string>"(?:\\.|[^"\\])*"|`[^`]*`)"""
    r"""|(?P<number>[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<mark>:=|[|(),.$]))"""
)
_ROOTS: Final = {
    "$labels": "labels",
    ".Labels": "labels",
    "$externalLabels": "external_labels",
    ".ExternalLabels": "external_labels",
    "$value": "value",
    ".Value": "value",
}
_COMPARISONS: Final = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_RANGE: Final = re.compile(r"\$(\w+)\s*,\s*\$(\w+)\s*:=\s*(\$labels|\.Labels|\$externalLabels|\.ExternalLabels)\s*\Z")
_UNSUPPORTED: Final = {
    "query", "first", "value", "label", "strvalue", "sortByLabel", "tmpl", "args", "graphLink", "tableLink",
    "externalURL", "pathPrefix", "parseDuration", "toTime", "define", "template", "block", "with", "break", "continue",
}  # fmt: skip


def is_go(template: str) -> bool:
    """Whether a template is written in Go's language, which Jinja would not take."""
    return _GO.search(template) is not None


def translated(template: str) -> str:
    """The same template in Jinja. Raises InvalidTemplateError."""
    return _Translation(template).whole()


class _Translation:
    def __init__(self, template: str) -> None:
        self._template = template
        self._ends: list[str] = []
        self._range: tuple[str, str, str] | None = None
        """Key, value and mapping of the loop around."""

    def whole(self) -> str:
        made: list[str] = []
        at = 0
        for found in _ACTION.finditer(self._template):
            made.append(_data(self._template[at : found.start()]))
            try:
                made.append(self._action(found[2].strip(), bool(found[1]), bool(found[3])))
            except InvalidTemplateError as e:
                line = self._template.count("\n", 0, found.start()) + 1
                raise InvalidTemplateError(f"{e.reason} in {{{{ {found[2].strip()[:60]} }}}}", line) from None
            at = found.end()
        rest = self._template[at:]
        if "{{" in rest:
            raise InvalidTemplateError("{{ is not closed", self._template.count("\n") + 1)
        if self._ends:
            raise InvalidTemplateError("an end is missing", self._template.count("\n") + 1)
        return "".join((*made, _data(rest)))

    def _action(self, code: str, trim_before: bool, trim_after: bool) -> str:
        left, right = "-" if trim_before else "", "-" if trim_after else ""
        word, _, rest = code.partition(" ")
        rest = rest.strip()
        if code.startswith("/*"):
            return f"{{#{left} {right}#}}"
        match word:
            case "if":
                self._ends.append("endif")
                statement = f"if {self._expression(rest)}"
            case "else" if rest.startswith("if "):
                statement = f"elif {self._expression(rest.removeprefix('if '))}"
            case "else":
                if not self._ends:
                    raise InvalidTemplateError("there is no if before this else")
                statement = "else"
            case "range":
                statement = self._loop(rest)
            case "end":
                if not self._ends:
                    raise InvalidTemplateError("there is nothing to end")
                statement = self._ends.pop()
                self._range = None if statement == "endfor" else self._range
            case _:
                return f"{{{{{left} {self._expression(code)} {right}}}}}"
        return f"{{%{left} {statement} {right}%}}"

    def _loop(self, code: str) -> str:
        found = _RANGE.match(code)
        if found is None or self._range is not None:
            raise InvalidTemplateError("range is supported as `range $name, $value := $labels` only, not nested")
        self._range = (found[1], found[2], _ROOTS[found[3]])
        self._ends.append("endfor")
        return f"for go_{found[1]} in {_ROOTS[found[3]]}"

    def _expression(self, code: str) -> str:
        tokens = _Tokens(code)
        made = self._pipeline(tokens)
        if tokens.peek() != "":
            raise InvalidTemplateError(f"{tokens.peek()} is not expected here")
        return made

    def _pipeline(self, tokens: _Tokens) -> str:
        made = self._command(tokens, None)
        while tokens.peek() == "|":
            tokens.take()
            made = self._command(tokens, made)
        return made

    def _command(self, tokens: _Tokens, piped: str | None) -> str:
        if tokens.kind() == "name" and tokens.peek() not in ("true", "false"):
            return self._call(tokens, piped)
        if piped is not None:
            raise InvalidTemplateError("a function must stand after |")
        return self._operand(tokens)

    def _call(self, tokens: _Tokens, piped: str | None) -> str:
        name = tokens.take()
        if name in ("labels", "external_labels"):
            raise InvalidTemplateError(
                f"{name} is Jinja's, and this template is written in Go's language: write $labels"
            )
        if name in _UNSUPPORTED:
            raise InvalidTemplateError(f"{name} is not supported: a template sees the labels and the value only")
        arguments: list[str] = []
        while tokens.peek() not in ("", "|", ")"):
            arguments.append(self._operand(tokens))
        if piped is not None:
            arguments.append(piped)
        if name in _COMPARISONS:
            return _compared(name, arguments)
        match name, arguments:
            case ("and" | "or", [_, _, *_]):
                return "(" + f" {name} ".join(arguments) + ")"
            case "not", [one]:
                return f"(not {one})"
            case "index", [mapping, key] if mapping in _ROOTS.values():
                return f"{mapping}[{key}]"
            case ("print" | "html" | "js", [one]):
                return one
            case _ if name in PROMETHEUS and arguments:
                *others, subject = arguments
                return f"({subject})|{name}" + (f"({', '.join(others)})" if others else "")
        raise InvalidTemplateError(f"{name} is no function, or has not the right arguments")

    def _operand(self, tokens: _Tokens) -> str:
        kind, token = tokens.kind(), tokens.take()
        match kind:
            case "string":
                return _string(token)
            case "number":
                return f"({token.lstrip('+')})"
            case "path":
                return self._path(token)
            case "name" if token in ("true", "false"):
                return token
            case "name" if token in _UNSUPPORTED:
                raise InvalidTemplateError(f"{token} is not supported: a template sees the labels and the value only")
            case "mark" if token == "(":  # noqa: S105 - a bracket
                made = self._pipeline(tokens)
                if tokens.take() != ")":
                    raise InvalidTemplateError("a bracket is not closed")
                return f"({made})"
        raise InvalidTemplateError(f"{token or 'the end'} is not expected here")

    def _path(self, token: str) -> str:
        root, *rest = re.split(r"(?<=.)\.", token)
        if self._range is not None and not rest:
            key, value, mapping = self._range
            if root == f"${value}":
                return f"{mapping}[go_{key}]"
            if root == f"${key}":
                return f"go_{key}"
        if root not in _ROOTS or len(rest) > 1 or (rest and _ROOTS[root] == "value"):
            raise InvalidTemplateError(f"{token} is unknown: there are $labels, $value and $externalLabels")
        return f"{_ROOTS[root]}[{rest[0]!r}]" if rest else _ROOTS[root]


class _Tokens:
    def __init__(self, code: str) -> None:
        self._tokens = list(_tokens(code))
        self._at = 0

    def kind(self) -> str:
        return self._tokens[self._at][0]

    def peek(self) -> str:
        return self._tokens[self._at][1]

    def take(self) -> str:
        token = self.peek()
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token


def _tokens(code: str) -> Iterator[tuple[str, str]]:
    at, code = 0, code.rstrip()
    while at < len(code):
        found = _TOKEN.match(code, at)
        if found is None or found.lastgroup is None:
            raise InvalidTemplateError(f"{code[at : at + 20].strip()!r} is not understood")
        if found["mark"] == ":=":
            raise InvalidTemplateError("variables are not supported")
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()
    yield "end", ""


def _compared(name: str, arguments: list[str]) -> str:
    if len(arguments) < 2 or (len(arguments) > 2 and name != "eq"):
        raise InvalidTemplateError(f"{name} compares two values")
    first, *others = arguments
    return "(" + " or ".join(f"{first} {_COMPARISONS[name]} {other}" for other in others) + ")"


_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "'": "'"}


def _string(token: str) -> str:
    """As a Jinja literal, which is Python's."""
    inside = token[1:-1]
    if token.startswith('"'):
        if bad := re.search(r"\\([^ntr\"\\'])", inside):
            raise InvalidTemplateError(f"\\{bad[1]} in a text is not supported: write it in `backquotes`")
        inside = re.sub(r"\\(.)", lambda escape: _ESCAPES[escape[1]], inside)
    return repr(inside)


def _data(text: str) -> str:
    """Text between actions, in which Jinja must see nothing of its own."""
    return re.sub(r"\{(?=[%#{])", "{{ '{' }}", text)
