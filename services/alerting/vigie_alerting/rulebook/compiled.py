"""Compiled rules, kept by id and version: reading alerts asks for the same ones again and again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from vigie_contracts.alerts import Rule

from vigie_alerting.rules.compiling import CompiledRule, compiled

MOST: Final = 5_000


class CompiledRules:
    """At most MOST."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, int], CompiledRule] = OrderedDict()

    def of(self, rule: Rule) -> CompiledRule:
        """Raises InvalidRuleError for a rule that this version of Vigie does not understand."""
        key = (rule.id, rule.version)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = compiled(rule)
            if len(self._known) > MOST:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return found
