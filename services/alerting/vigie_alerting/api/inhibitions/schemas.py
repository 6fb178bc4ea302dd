"""JSON of /api/alerts/inhibitions."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field
from vigie_contracts.limits import MAX_LABEL_NAME_CHARS
from vigie_query.times import iso_of
from vigie_storage.alerts.configuration import Stored
from vigie_web.schemas import Body, Model, Time

from vigie_alerting import inhibition
from vigie_alerting.api.timing import MatcherTexts
from vigie_alerting.routing import matchers as routing
from vigie_alerting.silences.checking import checked_matchers
from vigie_alerting.silences.model import MAX_COMMENT_CHARS

Equal = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=MAX_LABEL_NAME_CHARS)]],
    Field(max_length=inhibition.MAX_EQUAL, description="labels that must be the same in both", examples=[["host"]]),
]


class InhibitionBody(Body):
    """While an alert fires that fits the source, those that fit the target are not told."""

    source_matchers: MatcherTexts
    target_matchers: MatcherTexts
    equal: Equal = []  # noqa: RUF012 - pydantic copies it
    comment: Annotated[str, Field(max_length=MAX_COMMENT_CHARS)] = ""

    def inhibition(self) -> inhibition.Inhibition:
        """Raises InvalidParameter, QueryLimitExceeded."""
        return inhibition.Inhibition(
            source=checked_matchers(routing.parse(self.source_matchers, "sourceMatchers").all, "sourceMatchers"),
            target=checked_matchers(routing.parse(self.target_matchers, "targetMatchers").all, "targetMatchers"),
            equal=tuple(dict.fromkeys(self.equal)),
            comment=self.comment,
        )


class Inhibition(Model):
    """A rule of inhibition."""

    name: str
    source_matchers: list[str]
    target_matchers: list[str]
    equal: list[str]
    comment: str
    updated_by: str
    updated_at: Time
    version: int

    @classmethod
    def of(cls, stored: Stored[inhibition.Inhibition]) -> Self:
        value = stored.value
        return cls(
            name=stored.name,
            source_matchers=[routing.written(one) for one in value.source],
            target_matchers=[routing.written(one) for one in value.target],
            equal=list(value.equal),
            comment=value.comment,
            updated_by=stored.by,
            updated_at=iso_of(stored.changed),
            version=stored.version,
        )


class InhibitionList(Model):
    inhibitions: list[Inhibition]
