"""One check of one target: its attempts, and whether what they found is the target's fault or the prober's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from vigie_contracts.targets import Secrets, Target

from vigie_healthcheck.probes.base import Outcome


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found: the outcome of its last attempt."""

    outcome: Outcome
    attempts: int = 1


class Check(Protocol):
    """Asks a target. Never raises; over before the target's next check is due."""

    async def __call__(self, target: Target, secrets: Secrets) -> Checked: ...
