"""What checks found, on its way: to the logs of samples and checks, to the store, and to whoever watches."""

from __future__ import annotations

from vigie_contracts.targets import Target

from vigie_healthcheck.checking import Checked
from vigie_healthcheck.state import Step


class Results:
    """`run` in a task, until `stop` lets it finish what it has."""

    async def add(self, target: Target, step: Step, checked: Checked, at_ms: int) -> None:
        """A check that was due at `at_ms`. Waits while there are too many and Kafka takes them."""
        raise NotImplementedError

    async def remove(self, target: Target) -> None:
        """The target is deleted, or disabled: what is known of it goes, and its incident ends."""
        raise NotImplementedError

    def stop(self) -> None:
        """Make `run` return when it has told what it has, or cannot."""
        raise NotImplementedError

    async def run(self) -> None:
        """Until `stop`."""
        raise NotImplementedError
