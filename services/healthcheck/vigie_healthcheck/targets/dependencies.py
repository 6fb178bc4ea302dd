"""What targets depend on: names become ids, and nothing depends on itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace
from vigie_contracts.problems import shortened
from vigie_contracts.targets import Target

from vigie_healthcheck.targets.problems import TargetProblem


class Dependencies:
    """Those of all targets of a tenant. `put` what changes before anything that depends on it is resolved."""

    def __init__(self, targets: Iterable[Target] = ()) -> None:
        self._names: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._parents: dict[str, list[str]] = {}
        for one in targets:
            self.put(one)

    def put(self, target: Target) -> None:
        """A target with its id and name, in the place of the one with this id."""
        before = self._names.get(target.id)
        if before is not None and self._ids.get(before) == target.id:
            del self._ids[before]
        self._names[target.id], self._ids[target.name] = target.name, target.id
        self._parents[target.id] = list(target.depends_on)

    def resolved(self, target: Target) -> tuple[Target, list[TargetProblem]]:
        """The target, which was put, with the ids of those that it depends on, each once; and what is wrong there."""
        problems: list[TargetProblem] = []
        parents: list[str] = []
        for at, said in enumerate(target.depends_on):
            parent = self._ids.get(said) or (said if said in self._names else "")
            if not parent:
                problems.append(TargetProblem(f"dependsOn[{at}]", f"there is no service {shortened(said)!r}"))
            elif parent == target.id:
                problems.append(TargetProblem(f"dependsOn[{at}]", "is the service itself"))
            elif self._reaches(parent, target.id):
                name = shortened(self._names[parent])
                problems.append(TargetProblem(f"dependsOn[{at}]", f"{name!r} depends on this service"))
            else:
                parents.append(parent)
        self._parents[target.id] = list(dict.fromkeys(parents))
        return replace(target, depends_on=self._parents[target.id]), problems

    def _reaches(self, start: str, end: str) -> bool:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            one = waiting.pop()
            if one == end:
                return True
            if one not in seen:
                seen.add(one)
                waiting += self._parents.get(one, [])
                # Those that were not resolved yet have names, too.
                waiting += [self._ids[name] for name in self._parents.get(one, []) if name in self._ids]
        return False
