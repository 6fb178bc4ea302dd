"""What the aggregator raises itself."""

from __future__ import annotations

from vigie_runtime.errors import VigieError

from vigie_aggregator.metrics import DeadReason


class PoisonRecord(VigieError):  # noqa: N818 - named after what it is called everywhere
    """A record that can never be counted. `reason` is its metric label, the text its story in the dead letters."""

    def __init__(self, reason: DeadReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
