"""How alerts stand now: who has them, what keeps them quiet, who was told by chains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vigie_contracts.alerts import Transition
from vigie_contracts.tenants import TenantId
from vigie_runtime.clock import Clock
from vigie_storage.alerts.escalations import EscalationStore
from vigie_storage.alerts.states import AlertStates

from vigie_alerting.alert import Acknowledgement, decode
from vigie_alerting.escalation.chain import State
from vigie_alerting.escalation.escalations import running_of
from vigie_alerting.notifying.item import Item, labels_of
from vigie_alerting.notifying.muting import Mute, Muter


@dataclass(frozen=True, slots=True)
class InChain:
    """Where an alert stands in one chain."""

    chain: str
    told: int
    """Steps that were told."""
    last_ms: int
    """When the last one was; 0: none was."""
    waits: bool
    """Whether there is a next one, and nobody has the alert."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Of one alert."""

    acknowledgement: Acknowledgement | None = None
    mute: Mute | None = None
    chains: tuple[InChain, ...] = ()

    @property
    def told(self) -> int:
        """Steps of chains that were told."""
        return sum(one.told for one in self.chains)


NOTHING: Mapping[str, Stand] = {}
"""Where nothing is known of how alerts stand."""


class Standing:
    """Looks at the stores: what is told of an alert now holds, whatever was told before."""

    def __init__(self, states: AlertStates, escalations: EscalationStore, silenced: Muter, clock: Clock) -> None:
        self._states, self._escalations, self._silenced, self._clock = states, escalations, silenced, clock

    async def of(self, tenant: TenantId, steps: Sequence[Transition]) -> dict[str, Stand]:
        """By fingerprint, of these alerts of the tenant, which fire. Raises StoreUnavailable."""
        if not steps:
            return {}
        fingerprints = [step.fingerprint for step in steps]
        alerts = {
            one.fingerprint: decode(one.data)
            for one in await self._states.some(fingerprints)
            if one.tenant == tenant
        }  # fmt: skip
        items = [Item(step, labels_of(step)) for step in steps]
        mutes = await self._silenced(tenant, items, self._clock.now_ms())
        chains: dict[str, list[InChain]] = {}
        episodes = {step.episode for step in steps}
        for one in await self._escalations.of_alerts(tenant, fingerprints):
            if one.episode in episodes:
                running = running_of(one)
                waits = running.at.state is State.WAITING
                stand = InChain(one.chain, running.at.told, running.last_ms, waits)
                chains.setdefault(one.fingerprint, []).append(stand)
        return {
            step.fingerprint: Stand(
                alert.acknowledgement if (alert := alerts.get(step.fingerprint)) and alert.open else None,
                mute,
                tuple(chains.get(step.fingerprint, ())),
            )
            for step, mute in zip(steps, mutes, strict=True)
        }
