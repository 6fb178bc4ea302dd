"""One series and one sample of it, with the part of their JSON that never changes encoded once."""

from __future__ import annotations

import json
from collections.abc import Mapping

from vigie_client.values import MetricType, NotRecordable


class Series:
    """A name, a kind and labels. `open` is the sample that still adds up, if there is one in the buffer."""

    __slots__ = ("head", "kind", "open")

    def __init__(self, kind: MetricType, name: str, labels: Mapping[str, str]) -> None:
        """Raises NotRecordable when the name or a label's name is not text."""
        names: list[object] = [name, *labels]
        if not all(isinstance(one, str) for one in names):
            raise NotRecordable("the name of a metric and the names of its labels must be text")
        fixed = {"name": name, "type": kind.value, "labels": dict(sorted(labels.items()))}
        self.kind = kind
        self.head = json.dumps(fixed, separators=(",", ":"))[:-1]
        self.open: Sample | None = None


class Sample:
    """What will be one item of a request: of a counter the sum of one window, of a gauge its last value there."""

    __slots__ = ("number", "series", "timestamp", "value")

    def __init__(self, series: Series, timestamp: int, value: float, number: int) -> None:
        """`timestamp` in milliseconds since 1970; `number` counts the samples of a buffer from 1."""
        self.series = series
        self.timestamp = timestamp
        self.value = value
        self.number = number

    def encoded(self) -> str:
        """The item as JSON."""
        return f'{self.series.head},"value":{self.value!r},"timestamp":{self.timestamp}}}'
