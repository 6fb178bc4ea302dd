"""JSON of /api/alerts/channels."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field
from vigie_query.times import iso_of
from vigie_web.schemas import Body, Model, Time

from vigie_alerting.channels.channels import Verdict
from vigie_alerting.channels.drafts import MAX_SECRET_CHARS, Draft, ShownChannel

MAX_DESTINATION_CHARS = 4_096


class Channel(Model):
    """A channel, without what is secret of it."""

    id: str
    name: str
    type: str
    destination: str = Field(description="secret parts are *** and their last four characters")
    secrets: dict[str, str] = Field(description="which there are, masked")
    version: int
    updated_at: Time | None
    updated_by: str
    default: bool = Field(description="from the settings: of rules without channels, and not changed here")

    @classmethod
    def of(cls, channel: ShownChannel) -> Self:
        return cls(
            id=channel.id,
            name=channel.name,
            type=channel.type,
            destination=channel.destination,
            secrets=channel.secrets,
            version=channel.version,
            updated_at=iso_of(channel.updated) if channel.updated else None,
            updated_by=channel.by,
            default=channel.default,
        )


class ChannelList(Model):
    channels: list[Channel]


class ChannelBody(Body):
    """What is left out, or sent as it is shown, stays; a secret that is null goes."""

    name: Annotated[str, Field(max_length=64, examples=["on-call"])]
    type: Annotated[str, Field(max_length=32, examples=["webhook"])]
    destination: Annotated[str | None, Field(max_length=MAX_DESTINATION_CHARS)] = None
    secrets: Annotated[
        dict[str, Annotated[str, Field(max_length=MAX_SECRET_CHARS)] | None] | None, Field(max_length=10)
    ] = None

    @property
    def draft(self) -> Draft:
        return Draft(self.name, self.type, self.destination, self.secrets)


class InlineChannel(Body):
    """A channel as rules have them."""

    type: Annotated[str, Field(max_length=32, examples=["slack"])]
    destination: Annotated[str, Field(max_length=MAX_DESTINATION_CHARS, examples=["#alerts"])] = ""


class Tested(Model):
    """How a test message went."""

    delivered: bool
    failure: str = Field(description="empty: none")
    detail: str = Field(description="why not, in one sentence")
    temporary: bool = Field(description="trying again may help")

    @classmethod
    def of(cls, verdict: Verdict) -> Self:
        return cls(
            delivered=verdict.delivered,
            failure=verdict.failure.value if verdict.failure else "",
            detail=verdict.detail,
            temporary=verdict.temporary,
        )
