"""Groups of one tenant in memory, by a clock of the test: what the store would hold, and who was told of what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace
from vigie_alerting.notifying.muting import Mute
from vigie_alerting.notifying.places import Place, alone, place
from vigie_alerting.notifying.working import Going, Told, Working
from vigie_alerting.routing.model import Receiver
from vigie_alerting.routing.timings import Timings
from vigie_alerting.routing.tree import Leg
from vigie_contracts.alerts import AlertState, Channel, Severity, Transition, transition_id
from vigie_contracts.decisions import Decision, Why
from vigie_storage.alerts.groups import Group, Member

START = 1_790_000_000_000
S, M, H = 1_000, 60_000, 3_600_000
TENANT = "acme"
OPS = Receiver(channels=[Channel("webhook", "https://ops.example.com")])
MUTE = Mute(Why.SILENCED, "s1", "silenced by anna: deploy")


def step(fingerprint: str, sequence: int, to: AlertState, at: int = START, **more: Any) -> Transition:
    begun = more.pop("starts_at", START)
    fields: dict[str, Any] = {
        "id": transition_id(fingerprint, begun, sequence), "fingerprint": fingerprint, "tenant": TENANT, "rule_id": "r",
        "rule_name": "High", "from_state": None, "to_state": to, "timestamp": at, "reason": "held",
        "sequence": sequence, "starts_at": begun, "severity": Severity.HIGH, "labels": {"host": fingerprint},
    }  # fmt: skip
    return Transition(**{**fields, **more})


@dataclass
class Message:
    at: int
    group: str
    """Empty: the channels of a rule."""
    steps: tuple[Transition, ...]


@dataclass
class Office:
    """`muted` says whether an alert is muted now."""

    now: int = START
    timings: Timings = field(default_factory=lambda: Timings(0, 30 * S, 4 * H))
    muted: Callable[[str], Mute | None] = lambda _fingerprint: None
    groups: dict[str, Group] = field(default_factory=dict[str, Group])
    members: dict[tuple[str, str], Member] = field(default_factory=dict[tuple[str, str], Member])
    messages: list[Message] = field(default_factory=list[Message])
    decisions: list[Decision] = field(default_factory=list[Decision])

    def place(self, one: Transition, name: str = "db", receiver: Receiver = OPS) -> Place:
        made = place(one, Leg(f"/{name}", "ops", {"team": name}, self.timings), receiver)
        assert made is not None
        return made

    def dispatch(self, *steps: Transition, direct: bool = False, routes: Sequence[str] = ("db",)) -> list[Message]:
        """The messages that are told at once."""
        goings = [self._going(one, direct, routes) for one in steps]
        ids = {one.fingerprint for one in steps}
        working = Working(TENANT, self.groups, [m for m in self.members.values() if m.fingerprint in ids], self.now)
        for going in goings:
            working.move(going)
        working.flush()
        working.due()
        return self._write(working)

    def until(self, at: int) -> list[Message]:
        """Look at every group when it is due, up to that time."""
        told: list[Message] = []
        for _ in range(100_000):
            due = min((g.due_ms for g in self.groups.values() if g.due_ms is not None), default=None)
            if due is None or due > at:
                break
            self.now = max(self.now, due)
            told += self._look([g for g in self.groups.values() if g.due_ms is not None and g.due_ms <= self.now])
        self.now = max(self.now, at)
        return told

    def whys(self) -> list[str]:
        return [one.why.value for one in self.decisions]

    def _going(self, one: Transition, direct: bool, routes: Sequence[str]) -> Going:
        places = tuple(self.place(one, name) for name in routes)
        mute = self.muted(one.fingerprint) if one.to_state is AlertState.FIRING else None
        own = (alone(one),) if direct else ()
        return Going(one, direct, places, {p.group.id: mute for p in (*own, *places)} if mute else {})

    def _look(self, groups: Sequence[Group]) -> list[Message]:
        ids = {one.id: one for one in groups}
        due = [
            one for one in self.members.values()
            if one.group in ids and one.due_ms is not None and one.due_ms <= self.now + ids[one.group].interval_ms
        ]  # fmt: skip
        working = Working(TENANT, ids, due, self.now)
        mutes = {(one.group, one.fingerprint): mute for one in due if (mute := self.muted(one.fingerprint))}
        working.flush(mutes)
        told = self._write(working)
        for id_ in ids:
            mine = [one for one in self.members.values() if one.group == id_]
            if mine:
                due_ms = min((one.due_ms for one in mine if one.due_ms is not None), default=None)
                self.groups[id_] = replace(working.groups[id_], due_ms=due_ms)
            else:
                self.groups.pop(id_, None)
        return told

    def _write(self, working: Working) -> list[Message]:
        groups, gone, members, left = working.written()
        self.groups.update({one.id: one for one in groups})
        self.members.update({(one.group, one.fingerprint): one for one in members})
        for id_ in gone:
            self.groups.pop(id_, None)
        for id_ in left:
            group, _, fingerprint = id_.partition("/")
            self.members.pop((group, fingerprint), None)
        self.decisions += working.decisions
        told = [*_grouped(working.told, self.now), *(Message(self.now, "", (one,)) for one in working.direct)]
        self.messages += told
        return told


def _grouped(told: Iterable[Told], now: int) -> list[Message]:
    return [Message(now, one.group.id, one.steps) for one in told]
