"""What a kind of channel is: its notifier, and what its channels look like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from vigie_alerting.channels.model import Channel
from vigie_alerting.notifiers.message import Message
from vigie_alerting.notifiers.resources import Resources


class Notifier(Protocol):
    """Sends through one kind of channel."""

    async def send(self, channel: Channel, message: Message) -> None:
        """Deliver `message`, within a deadline of its own. Raises Temporary or Permanent, nothing else."""
        ...


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of channel. To add one: its file, and its line in the registry."""

    name: str
    make: Callable[[Resources], Notifier]
    check: Callable[[str, Resources], str]
    """The destination as it is kept. Raises Permanent, with a sentence, for one that cannot be sent to."""
    show: Callable[[str], str]
    """The destination as it may be shown."""
    secrets: frozenset[str] = frozenset()
    """The secrets that a channel of it may have."""
    check_secret: Callable[[str, str], None] = lambda _name, _value: None
    """Raises Permanent for a secret, by name and value, that cannot be used."""
    check_together: Callable[[str, Mapping[str, str]], None] = lambda _destination, _secrets: None
    """Raises Permanent for a destination with which these secrets cannot be used."""
    by_default: Callable[[Resources], str | None] = lambda _: None
    """The destination that the settings give; None when they give none."""
