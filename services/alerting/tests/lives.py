"""What the tests of the life cycle share: rules, observations, and a life written as one line per step."""

from collections.abc import Iterable
from typing import Any

from vigie_alerting.alert import Alert
from vigie_alerting.lifecycle import step
from vigie_alerting.rules.checking import checked
from vigie_alerting.rules.compiling import CompiledRule
from vigie_contracts.alerts import Condition, Rule, Transition

START = 1_764_000_000_000
S, M = 1_000, 60_000
LABELS = (("host", "web-1"),)


def rule(**changes: Any) -> CompiledRule:
    """cpu > 80, a warning; with what a test is about."""
    simple = {"metric_name": "cpu", "condition": Condition.GREATER, "threshold": 80.0}
    fields = {
        "id": "r1",
        "tenant": "default",
        "name": "cpu_high",
        **({} if "expression" in changes else simple),
        **changes,
    }
    return checked(Rule(**fields))[0]


class Life:
    """An alert that is observed, and all that happened to it."""

    def __init__(self, made: CompiledRule) -> None:
        self.rule = made
        self.alert: Alert | None = None
        self.now = START
        self.transitions: list[Transition] = []

    def see(self, value: float | None, after: int = 15 * S) -> "list[str]":
        """Observe a value so much later; the steps that it makes, as `firing:held`."""
        self.now += after
        self.alert, made = step(self.alert, self.rule.observe(LABELS, value), self.rule, self.now)
        return self.add(made)

    def add(self, made: Iterable[Transition]) -> "list[str]":
        made = list(made)
        self.transitions += made
        return [f"{one.to_state}:{one.reason}" for one in made]

    def wait(self, value: float | None, length: int) -> "list[str]":
        """The same value every 15 s for so long."""
        return [step for _ in range(length // (15 * S)) for step in self.see(value)]
