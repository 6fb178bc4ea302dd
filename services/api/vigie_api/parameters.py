"""Query parameters that several routes have."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query

Period = Annotated[Literal["1h", "24h", "7d", "30d"] | None, Query(description="the time up to now")]
From = Annotated[
    str | None,
    Query(
        alias="from", max_length=64, description="ms since 1970, RFC 3339, or relative: now-1h. Instead of a period",
        examples=["now-1h", "2026-01-31T12:00:00Z"],
    ),
]  # fmt: skip
To = Annotated[
    str | None,
    Query(max_length=64, description="like from; now by default, at most a year ahead. Exclusive", examples=["now"]),
]
Step = Annotated[
    str | None,
    Query(
        max_length=32, description="seconds, or with a unit: 10s, 1m, 1h, 1d; a multiple of 10 s. By default one that "
        "gives at most 300 points and is cheap", examples=["1m"],
    ),
]  # fmt: skip
Match = Annotated[
    list[str] | None,
    Query(
        description="label=value, label!=value, label=~regex, label!~regex; all must hold. A value may stand in "
        "quotation marks. Regular expressions are RE2's and match the whole value, at most 8 of them. Also accepted as "
        "match[]", examples=[["service=booking"]],
    ),
]  # fmt: skip
MatchBrackets = Annotated[list[str] | None, Query(alias="match[]", include_in_schema=False)]
Types = Annotated[
    list[Literal["gauge", "counter", "histogram"]] | None, Query(alias="type", description="only series of these types")
]
Temporality = Annotated[
    Literal["delta", "cumulative"] | None,
    Query(description="only counters that are sent so: as increments, or as totals since the sender's start"),
]
