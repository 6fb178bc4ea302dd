"""Destinations of channels that rules and routes have inline: judged by the notifiers that send there, and shown
without their secrets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from msgspec.structs import replace
from vigie_contracts.alerts import Channel, Rule
from vigie_contracts.problems import shortened

from vigie_alerting.channels.model import masked
from vigie_alerting.notifiers.errors import Permanent
from vigie_alerting.notifiers.registry import KINDS
from vigie_alerting.notifiers.resources import Resources
from vigie_alerting.outbox import NAMED


def shown(channel: Channel) -> Channel:
    """As anybody may see it."""
    if channel.type == NAMED:
        return channel
    kind = KINDS.get(channel.type)
    return Channel(channel.type, kind.show(channel.destination) if kind else masked(channel.destination))


def without_secrets(rule: Rule) -> Rule:
    """The rule as anybody may see it."""
    return replace(rule, notification_channels=[shown(one) for one in rule.notification_channels])


def restored(rule: Rule, before: Rule) -> Rule:
    """The rule with the destinations of `before` wherever they came back as they were shown."""
    return replace(rule, notification_channels=known_again(rule.notification_channels, before.notification_channels))


def known_again(channels: Iterable[Channel], before: Iterable[Channel]) -> list[Channel]:
    """The channels, with the destinations of `before` wherever they came back as they were shown."""
    known = {(one.type, shown(one).destination): one for one in before}
    return [known.get((one.type, one.destination), one) for one in channels]


def check(names: Collection[str], resources: Resources, before: Iterable[Channel]) -> Callable[[Channel], str]:
    """What is wrong with a destination. `names` are those of the tenant's channels; what stands in `before` as it is
    shown is right."""
    kept = {(one.type, one.destination) for one in map(shown, before)}

    def problem_of(channel: Channel) -> str:
        if (channel.type, channel.destination) in kept:
            return ""
        if channel.type == NAMED:
            return (
                "" if channel.destination in names else f"there is no channel named {shortened(channel.destination)!r}"
            )
        kind = KINDS[channel.type]
        if not channel.destination and kind.by_default(resources) is not None:
            return ""
        try:
            kind.check(channel.destination, resources)
        except Permanent as e:
            return str(e)
        return ""

    return problem_of
