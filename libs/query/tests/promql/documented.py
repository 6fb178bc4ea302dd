"""The examples of `docs/promql.md`: blocks of ```promql in the notation of Prometheus' own tests.

`load 10s` and below it the series: kind (a gauge if it is not said), name and labels, then its values, one every 10 s
from the epoch on. `_` is no value and `_x3` three times none, `1x3` is 1 1 1 1, `0+5x3` is 0 5 10 15.
`eval instant at 1m EXPRESSION`, or `eval range from 0 to 5m step 1m EXPRESSION`, and below it the series of the answer
with their values, or what is expected beside them: `expect info TEXT`, `expect warn TEXT`, `expect fail TEXT`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vigie_contracts.series import Kind, Labels
from vigie_query.promql.labels import NAME, labels_of
from vigie_query.promql.parsing import parse
from vigie_query.promql.plan import Selector
from vigie_query.times import UNITS

PAGE = Path(__file__).parents[4] / "docs" / "promql.md"
MORE = Path(__file__).parent / "examples.md"
"""What is of interest to nobody but those who know Prometheus well."""
_KINDS = {"gauge": Kind.GAUGE, "counter": Kind.COUNTER, "cumulative": Kind.CUMULATIVE, "histogram": Kind.HISTOGRAM}
_SERIES = re.compile(r"(?:(gauge|counter|cumulative|histogram) )?([\w.:]*(?:\{.*?\})?)\s*(.*)")
_EVAL = re.compile(r"eval (?:instant at (\S+)|range from (\S+) to (\S+) step (\S+)) (.+)")
_EXPECT = re.compile(r"expect (info|warn|fail) (.+)")


@dataclass(frozen=True)
class Loaded:
    """One series that was sent."""

    kind: Kind
    labels: Labels
    points: list[tuple[int, float]]
    """Milliseconds and values."""


@dataclass
class Evaluated:
    """One question and what must come out."""

    line: int
    """Of the page."""
    text: str
    start_ms: int
    end_ms: int
    step_ms: int
    """0: at one time."""
    series: dict[Labels, list[float | None]] = field(default_factory=dict)
    expected: dict[str, list[str]] = field(default_factory=dict)
    """`info`, `warn` or `fail` -> texts."""


@dataclass
class Example:
    """One block."""

    line: int
    loaded: list[Loaded] = field(default_factory=list)
    evaluated: list[Evaluated] = field(default_factory=list)


def examples(page: Path = PAGE) -> Iterator[Example]:
    """All blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for block in re.finditer(r"^```promql\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield _read(block[1].splitlines(), text.count("\n", 0, block.start(1)) + 1)


def _read(lines: list[str], first: int) -> Example:
    example = Example(first)
    interval = 0
    for number, line in enumerate(lines, first):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        if not line.startswith(" "):
            if content.startswith("load "):
                interval = ms(content.removeprefix("load "))
            else:
                example.evaluated.append(_question(content, number))
        elif example.evaluated:
            _outcome(example.evaluated[-1], content)
        else:
            example.loaded.append(_series(content, interval))
    return example


def _question(content: str, line: int) -> Evaluated:
    found = _EVAL.fullmatch(content)
    assert found, f"line {line} is not understood: {content}"
    at, begin, end, step, text = found.groups()
    if at:
        return Evaluated(line, text, ms(at), ms(at), 0)
    return Evaluated(line, text, ms(begin), ms(end), ms(step))


def _outcome(question: Evaluated, content: str) -> None:
    if expected := _EXPECT.fullmatch(content):
        question.expected.setdefault(expected[1], []).append(expected[2])
        return
    _, name, values = _parts(content)
    question.series[_labels(name)] = _values(values)


def _series(content: str, interval: int) -> Loaded:
    kind, name, values = _parts(content)
    points = [(i * interval, value) for i, value in enumerate(_values(values)) if value is not None]
    return Loaded(_KINDS[kind], _labels(name), points)


def _parts(content: str) -> tuple[str, str, str]:
    found = _SERIES.fullmatch(content)
    assert found, content
    return found[1] or "gauge", found[2], found[3]


def _labels(name: str) -> Labels:
    if name in ("", "{}"):
        return ()
    bare = name.startswith("{") and not name.startswith('{"')  # of an answer without a name
    selector = parse(f"unnamed{name}" if bare else name)
    assert isinstance(selector, Selector)
    found = {matcher.label: matcher.value for matcher in selector.matchers}
    return labels_of({label: value for label, value in found.items() if not (bare and label == NAME)})


def _values(text: str) -> list[float | None]:
    values: list[float | None] = []
    for word in text.split():
        repeated = re.fullmatch(r"(.+?)(?:([+-][\d.]+))?x(\d+)", word)
        if repeated is None:
            values.append(None if word == "_" else float(word))
            continue
        times = int(repeated[3])
        if repeated[1] == "_":
            values += [None] * times
        else:
            values += [float(repeated[1]) + i * float(repeated[2] or 0) for i in range(times + 1)]
    return values


def ms(duration: str) -> int:
    """`0`, `90s`, `1h30m`."""
    return sum(int(n) * UNITS[unit] for n, unit in re.findall(r"(\d+)(ms|[smhdw])", duration))
