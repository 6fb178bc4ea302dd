"""Templates that cannot be expensive: what may stand in one is a closed list, so that its length bounds its work.

There are no calls but filters, no assignments, no macros, no ranges and no arithmetic on texts; a loop goes over the
labels and holds no other loop; every filter bounds its result. So 4,096 characters mean some milliseconds at most, and
no clock is needed to end them: the same alert always has the same text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import jinja2
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from vigie_alerting.templates import golang
from vigie_alerting.templates.errors import InvalidTemplateError
from vigie_alerting.templates.filters import FILTERS, MAX_CHARS, bounded, text

MAX_TEMPLATE_CHARS: Final = 4_096
MAX_OUTPUT_CHARS: Final = MAX_CHARS
MAX_NODES: Final = 500
_MAX_CONSTANT: Final = 1e300

_ALLOWED: Final = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Name, nodes.Const, nodes.Getattr,
    nodes.Getitem, nodes.Filter, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.CondExpr,
    nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.Neg, nodes.Pos, nodes.List, nodes.Tuple,
)  # fmt: skip
_NAMES: Final = frozenset({"labels", "value", "external_labels"})
_MAPPINGS: Final = frozenset({"labels", "external_labels"})
_ARITHMETIC: Final = frozenset({"+", "-", "*", "/"})


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, in which a dot reads a label and nothing else."""

    intercepted_binops = _ARITHMETIC

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return obj.get(argument, "") if isinstance(obj, dict) and isinstance(argument, str) else ""

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, str | list | tuple) or isinstance(right, str | list | tuple):
            raise InvalidTemplateError(f"{operator} takes numbers, not texts: write them beside one another")
        left, right = (float("nan") if side is None else float(side) for side in (left, right))
        match operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case _:
                return left / right if right else float("nan")


def _environment() -> _Environment:
    made = _Environment(
        autoescape=False, finalize=text, undefined=jinja2.ChainableUndefined, cache_size=0, keep_trailing_newline=True
    )
    made.filters = dict(FILTERS)
    made.globals = {}
    made.tests = {}
    return made


_jinja: Final = _environment()


def check(template: str) -> None:
    """Raises InvalidTemplateError."""
    made = _compiled(template)
    if isinstance(made, InvalidTemplateError):
        raise made


def render(
    template: str, labels: Mapping[str, str], value: float | None, external_labels: Mapping[str, str] | None = None
) -> str:
    """The text of an alert. What cannot be rendered says so in its place."""
    if "{" not in template:
        return template[:MAX_OUTPUT_CHARS]
    made = _compiled(template)
    if isinstance(made, InvalidTemplateError):
        return f"<this template is wrong: {made}>"
    sorted_labels = {name: labels[name] for name in sorted(labels)}
    try:
        pieces = made.generate(labels=sorted_labels, value=value, external_labels=dict(external_labels or {}))
        return _joined(pieces)
    except (InvalidTemplateError, jinja2.TemplateError, ArithmeticError, TypeError, ValueError) as e:
        return f"<this template failed: {e}>"


def render_all(
    templates: Mapping[str, str],
    labels: Mapping[str, str],
    value: float | None,
    external_labels: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """By the same names, sorted."""
    return {name: render(templates[name], labels, value, external_labels) for name in sorted(templates)}


def _joined(pieces: Iterator[str]) -> str:
    made: list[str] = []
    size = 0
    for piece in pieces:
        made.append(piece)
        size += len(piece)
        if size > MAX_OUTPUT_CHARS:
            break
    return bounded("".join(made))


@lru_cache(maxsize=4_096)
def _compiled(template: str) -> jinja2.Template | InvalidTemplateError:
    try:
        return _checked(template)
    except InvalidTemplateError as e:
        return e


def _checked(template: str) -> jinja2.Template:
    if len(template) > MAX_TEMPLATE_CHARS:
        raise InvalidTemplateError(f"a template has at most {MAX_TEMPLATE_CHARS:,} characters, not {len(template):,}")
    source = golang.translated(template) if golang.is_go(template) else template
    try:
        tree = _jinja.parse(source)
        _Checker().visit(tree)
        return _jinja.from_string(tree)
    except jinja2.TemplateSyntaxError as e:
        raise InvalidTemplateError(e.message or "is no template", e.lineno) from None
    except RecursionError:
        raise InvalidTemplateError("is nested too deeply") from None


class _Checker:
    """Goes through a template and refuses what could be expensive, or reaches beyond the alert."""

    def __init__(self) -> None:
        self._count = 0
        self._loop: str | None = None

    def visit(self, node: nodes.Node) -> None:
        self._count += 1
        if self._count > MAX_NODES:
            raise InvalidTemplateError("has too many parts")
        if not isinstance(node, _ALLOWED):
            what = type(node).__name__.lower()
            raise InvalidTemplateError(
                f"{what} is not allowed: values, filters, if and for over labels are", node.lineno
            )
        match node:
            case nodes.For():
                self._for(node)
                return
            case nodes.Name() if node.name not in _NAMES and node.name != self._loop:
                raise InvalidTemplateError(
                    f"{node.name} is unknown: there are labels, value, external_labels", node.lineno
                )
            case nodes.Filter():
                self._filter(node)
            case nodes.Const() if isinstance(node.value, int | float) and abs(node.value) > _MAX_CONSTANT:
                raise InvalidTemplateError("the number is too large", node.lineno)
        for child in node.iter_child_nodes():
            self.visit(child)

    def _filter(self, node: nodes.Filter) -> None:
        if node.name not in FILTERS:
            raise InvalidTemplateError(
                f"the function {node.name} is unknown: there are {', '.join(sorted(FILTERS))}", node.lineno
            )
        if node.node is None or node.kwargs or node.dyn_args or node.dyn_kwargs:
            raise InvalidTemplateError(f"{node.name} takes plain arguments only", node.lineno)

    def _for(self, node: nodes.For) -> None:
        over = node.iter
        if self._loop is not None:
            raise InvalidTemplateError("a loop in a loop is not allowed", node.lineno)
        if not isinstance(over, nodes.Name) or over.name not in _MAPPINGS or node.recursive or node.test:
            raise InvalidTemplateError("a loop goes over labels: {% for name in labels %}", node.lineno)
        if not isinstance(node.target, nodes.Name):
            raise InvalidTemplateError("a loop has one variable, the name of a label", node.lineno)
        self._loop = node.target.name
        for child in (*node.body, *node.else_):
            self.visit(child)
        self._loop = None
