"""A file of unit tests in promtool's format, read and judged: every mistake with its line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from vigie_contracts.series import Labels
from vigie_query.promql.labels import labels_of
from vigie_runtime.yaml_nodes import InvalidYamlError, Mapping, Text, load

from vigie_alerting.backtest.unit import notation
from vigie_alerting.backtest.unit.notation import NotationError
from vigie_alerting.rules.durations import parse_duration

DEFAULT_INTERVAL_MS: Final = 60_000
_FILE: Final = frozenset({"rule_files", "evaluation_interval", "group_eval_order", "fuzzy_compare", "tests"})
_TEST: Final = frozenset(
    {"name", "interval", "input_series", "alert_rule_test", "promql_expr_test", "external_labels", "external_url"}
)
_ALERT: Final = frozenset({"eval_time", "alertname", "exp_alerts"})
_EXPRESSION: Final = frozenset({"expr", "eval_time", "exp_samples"})


class InvalidTestFileError(ValueError):
    """The file cannot be run. The text is a sentence, with the line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")


@dataclass(frozen=True, slots=True)
class ExpectedAlert:
    labels: Labels
    """Without `alertname`."""
    annotations: Labels


@dataclass(frozen=True, slots=True)
class AlertTest:
    """Which alerts of a name fire at some time."""

    at_ms: int
    alertname: str
    expected: tuple[ExpectedAlert, ...]


@dataclass(frozen=True, slots=True)
class ExpressionTest:
    """What an expression gives at some time."""

    at_ms: int
    expression: str
    expected: tuple[tuple[Labels, float], ...]


@dataclass(frozen=True, slots=True)
class InputSeries:
    labels: Labels
    values: list[float | None]
    """One for each interval, from time 0."""


@dataclass(frozen=True, slots=True)
class UnitTest:
    """Some series, and what rules and expressions make of them."""

    name: str
    interval_ms: int
    series: tuple[InputSeries, ...]
    alerts: tuple[AlertTest, ...]
    expressions: tuple[ExpressionTest, ...]
    external_labels: dict[str, str]

    @property
    def until_ms(self) -> int:
        return max((one.at_ms for one in (*self.alerts, *self.expressions)), default=0)


@dataclass(frozen=True, slots=True)
class TestFile:
    """All that one file says."""

    __test__ = False
    rule_files: tuple[str, ...]
    """As they are written: patterns of names, beside the file."""
    interval_ms: int
    """Between two evaluations of every rule."""
    group_order: tuple[str, ...]
    fuzzy: bool
    """Whether values may differ a little."""
    tests: tuple[UnitTest, ...]


def read(text: str) -> TestFile:
    """Raises InvalidTestFileError."""
    try:
        document = load(text)
    except InvalidYamlError as e:
        raise InvalidTestFileError(e.line, e.reason) from None
    file = _mapping(document, 1, "a file of unit tests")
    _known(file, _FILE, "a file of unit tests")
    order = tuple(_texts(file, "group_eval_order"))
    if len(set(order)) < len(order):
        raise InvalidTestFileError(file.lines["group_eval_order"], "a group is there twice")
    interval_ms = _duration(file, "evaluation_interval") or DEFAULT_INTERVAL_MS
    tests = [_test(one, file.lines["tests"], interval_ms) for one in _list(file, "tests")]
    fuzzy = _text(file, "fuzzy_compare") == "true"
    return TestFile(tuple(_texts(file, "rule_files")), interval_ms, order, fuzzy, tuple(tests))


def _test(value: Any, line: int, default_ms: int) -> UnitTest:
    test = _mapping(value, line, "a test")
    _known(test, _TEST, "a test")
    return UnitTest(
        _text(test, "name"),
        _duration(test, "interval") or default_ms,
        tuple(_series(one, test.lines["input_series"]) for one in _list(test, "input_series")),
        tuple(_alert(one, test.lines["alert_rule_test"]) for one in _list(test, "alert_rule_test")),
        tuple(_expression(one, test.lines["promql_expr_test"]) for one in _list(test, "promql_expr_test")),
        _labels(test, "external_labels"),
    )


def _series(value: Any, line: int) -> InputSeries:
    one = _mapping(value, line, "a series")
    _known(one, frozenset({"series", "values"}), "a series")
    try:
        labels = notation.series(_text(one, "series"))
        if not labels:
            raise NotationError("a series needs a name or a label")
        return InputSeries(labels, notation.values(_text(one, "values")))
    except NotationError as e:
        raise InvalidTestFileError(one.line, str(e)) from None


def _alert(value: Any, line: int) -> AlertTest:
    one = _mapping(value, line, "an alert_rule_test")
    _known(one, _ALERT, "an alert_rule_test")
    name = _text(one, "alertname")
    if not name:
        raise InvalidTestFileError(one.line, "an item under alert_rule_test misses required attribute alertname")
    expected = tuple(_expected(item, one.lines["exp_alerts"]) for item in _list(one, "exp_alerts"))
    return AlertTest(_duration(one, "eval_time"), name, expected)


def _expected(value: Any, line: int) -> ExpectedAlert:
    one = _mapping(value, line, "an alert")
    _known(one, frozenset({"exp_labels", "exp_annotations"}), "an alert")
    return ExpectedAlert(labels_of(_labels(one, "exp_labels")), tuple(sorted(_labels(one, "exp_annotations").items())))


def _expression(value: Any, line: int) -> ExpressionTest:
    one = _mapping(value, line, "a promql_expr_test")
    _known(one, _EXPRESSION, "a promql_expr_test")
    expected: list[tuple[Labels, float]] = []
    for item in _list(one, "exp_samples"):
        sample = _mapping(item, one.line, "a sample")
        _known(sample, frozenset({"labels", "value"}), "a sample without a native histogram")
        try:
            expected.append((notation.series(_text(sample, "labels")), _number(_text(sample, "value"))))
        except ValueError as e:  # NotationError too
            raise InvalidTestFileError(sample.line, f"a sample: {e}") from None
    return ExpressionTest(_duration(one, "eval_time"), _text(one, "expr"), tuple(expected))


def _number(text: str) -> float:
    """As YAML writes it: `.inf` too. Raises ValueError."""
    bare = text.lower().lstrip("+-")
    return float(text.replace(".", "", 1) if bare in (".inf", ".nan") else text or "0")


def _mapping(value: Any, line: int, what: str) -> Mapping:
    if not isinstance(value, Mapping):
        raise InvalidTestFileError(line, f"{what} must be a mapping")
    return value


def _known(mapping: Mapping, known: frozenset[str], what: str) -> None:
    for name in mapping:
        if name not in known:
            raise InvalidTestFileError(mapping.lines[name], f"{name[:64]} is not a field of {what}")


def _list(mapping: Mapping, name: str) -> Sequence[Any]:
    value = mapping.get(name)
    if value is None or _is_null(value):
        return ()
    if not isinstance(value, list):
        raise InvalidTestFileError(mapping.lines[name], f"{name} must be a list")
    return value  # pyright: ignore[reportUnknownVariableType]


def _text(mapping: Mapping, name: str) -> str:
    value = mapping.get(name, "")
    if value == "" or _is_null(value):
        return ""
    if not isinstance(value, Text):
        raise InvalidTestFileError(mapping.lines[name], f"{name} must be a text")
    return str(value)


def _texts(mapping: Mapping, name: str) -> list[str]:
    found = _list(mapping, name)
    if not all(isinstance(one, Text) for one in found):
        raise InvalidTestFileError(mapping.lines[name], f"{name} must be a list of texts")
    return [str(one) for one in found]


def _labels(mapping: Mapping, name: str) -> dict[str, str]:
    value = mapping.get(name)
    if value is None or _is_null(value):
        return {}
    labels = _mapping(value, mapping.lines[name], name)
    return {key: _text(labels, key) for key in labels}


def _duration(mapping: Mapping, name: str) -> int:
    text = _text(mapping, name)
    try:
        return parse_duration(text) if text else 0
    except ValueError as e:
        raise InvalidTestFileError(mapping.lines[name], f"{name}: {e}") from None


def _is_null(value: Any) -> bool:
    return isinstance(value, Text) and value.tag == "null"
