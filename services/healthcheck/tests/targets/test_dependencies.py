"""What targets depend on: by name or id, and never on themselves."""

from __future__ import annotations

from vigie_contracts.targets import Target
from vigie_healthcheck.targets.dependencies import Dependencies


def target(name: str, *parents: str) -> Target:
    return Target(id=f"id-{name}", tenant="acme", name=name, kind="http", depends_on=list(parents))


def resolved(one: Target, *others: Target) -> tuple[list[str], list[str]]:
    known = Dependencies(others)
    known.put(one)
    made, problems = known.resolved(one)
    return made.depends_on, [problem.reason for problem in problems]


def test_names_and_ids_become_ids_each_once() -> None:
    one = target("shop", "db", "id-db", "cache")
    assert resolved(one, target("db"), target("cache")) == (["id-db", "id-cache"], [])


def test_what_is_not_there_or_is_the_target_itself_is_refused() -> None:
    assert resolved(target("shop", "shop", "gone")) == ([], ["is the service itself", "there is no service 'gone'"])


def test_a_loop_is_refused_however_long() -> None:
    chain = [target(str(i), f"id-{i + 1}") for i in range(50)]
    parents, problems = resolved(target("50", "0"), *chain)
    assert (parents, problems) == ([], ["'0' depends on this service"])


def test_a_loop_among_targets_that_come_together_is_refused() -> None:
    one, other = target("a", "b"), target("b", "a")
    known = Dependencies()
    known.put(one)
    known.put(other)
    assert known.resolved(one)[1] or known.resolved(other)[1]


def test_the_name_of_a_renamed_target_is_free() -> None:
    known = Dependencies([target("old")])
    known.put(Target(id="id-old", tenant="acme", name="new", kind="http"))
    shop = target("shop", "new", "old")
    known.put(shop)
    made, problems = known.resolved(shop)
    assert (made.depends_on, [one.field for one in problems]) == (["id-old"], ["dependsOn[1]"])
