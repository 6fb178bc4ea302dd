"""Answers as tables, CSV and plots."""

import csv
import io
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vigie_standalone.query.series import NAME, Answer, Series, number, printable

MAX_LINES = 8
"""Series in one plot; colours and eyes tell no more apart."""
_TICKS = 5
_LEAST_WIDTH, _HEIGHT = 40, 20


def table(answer: Answer, console: Console) -> None:
    """A line for each series: its value, or, over time, what its values were like."""
    over_time = answer.kind == "matrix"
    shown = Table(box=box.SIMPLE_HEAD, header_style="bold")
    shown.add_column("series", overflow="fold")
    for column in ("points", "min", "mean", "max", "last") if over_time else ("value",):
        shown.add_column(column, justify="right", overflow="fold")
    for one in answer.series:
        cells = _summary(one) if over_time else [printable(one.points[-1][1])]
        shown.add_row(Text(one.title), *map(Text, cells))
    console.print(shown if answer.series else "No series matches.")


def _summary(one: Series) -> list[str]:
    numbers = [number(value) for _, value in one.points]
    known = [found for found in numbers if not math.isnan(found)] or [math.nan]
    mean = math.fsum(known) / len(known) if all(map(math.isfinite, known)) else sum(known) / len(known)
    return [str(len(numbers)), *(f"{found:.6g}" for found in (min(known), mean, max(known), numbers[-1]))]


def as_csv(answer: Answer) -> str:
    """A line for each point: time, value, and the labels of all series."""
    labels = sorted({label for one in answer.series for label in one.labels}, key=lambda name: (name != NAME, name))
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(["time", "value", *labels])
    for one in answer.series:
        values = [one.labels.get(label, "") for label in labels]
        writer.writerows([_iso(at), value, *values] for at, value in one.points)
    return written.getvalue()


def _iso(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


def plot(answer: Answer, width: int, *, colours: bool) -> str:
    """The first series over time, with a legend above; times are those of this machine."""
    import plotext  # pyright: ignore[reportMissingTypeStubs]

    drawn: Any = plotext
    drawn.clear_figure()
    drawn.theme("pro")
    drawn.plotsize(max(width, _LEAST_WIDTH), _HEIGHT)
    times: list[float] = []
    for one in answer.series[:MAX_LINES]:
        points = [(at, found) for at, value in one.points if math.isfinite(found := number(value))]
        times += [at for at, _ in points]
        if points:
            drawn.plot([at for at, _ in points], [found for _, found in points], marker="braille", label=one.title)
    if not times:
        return "No series has a number to draw.\n"
    drawn.xticks(*_ticks(min(times), max(times)))
    text = drawn.build()
    return f"{text if colours else drawn.uncolorize(text)}\n{_left_out(answer.series)}"


def _ticks(first: float, last: float) -> tuple[list[float], list[str]]:
    form = "%H:%M:%S" if last - first < 3_600 else "%H:%M" if last - first < 86_400 else "%m-%d %H:%M"
    at = [first + (last - first) * step / (_TICKS - 1) for step in range(_TICKS)] if last > first else [first]
    return at, [datetime.fromtimestamp(one).astimezone().strftime(form) for one in at]


def _left_out(series: Sequence[Series]) -> str:
    return f"{len(series) - MAX_LINES} more series are not drawn.\n" if len(series) > MAX_LINES else ""
