"""Who reaches whom by the NetworkPolicies of a composed deployment, and who should by the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tools.deployment.composed import Composed, Manifest, Workload, selects
from tools.deployment.services import FRONT, HEALTHCHECK, PORT, SERVERS, SERVICES

Edge = tuple[str, str, int]
"""From, to, port."""
_PORTS: Final = (PORT, 3000, 9093, 4318, *SERVERS.values())


def nothing_is_reachable_unless_said(composed: Composed) -> Iterator[str]:
    """There is a policy for every pod that lets nothing in and nothing out."""
    policies = list(composed.of_kind("NetworkPolicy"))
    for one in composed.workloads:
        for kind, rules in (("Ingress", "ingress"), ("Egress", "egress")):
            denied = any(
                kind in policy["spec"].get("policyTypes", []) and not policy["spec"].get(rules)
                for policy in policies
                if selects(policy["spec"].get("podSelector"), one.labels)
            )
            if not denied:
                yield f"{one.name}: {rules} is open unless a policy says otherwise"
    for policy in policies:
        if not any(selects(policy["spec"].get("podSelector"), one.labels) for one in composed.workloads):
            yield f"NetworkPolicy {policy['metadata']['name']}: chooses nobody"


def edges_are_those_of_the_table(composed: Composed) -> Iterator[str]:
    """Between pods of this namespace: every edge of the table, and no other."""
    there = {one.name: one for one in composed.workloads}
    wanted = {edge for edge in _wanted() if edge[0] in there and edge[1] in there}
    found = set(edges(composed))
    yield from (f"{source} does not reach {target}:{port}" for source, target, port in sorted(wanted - found))
    yield from (f"{source} reaches {target}:{port}" for source, target, port in sorted(found - wanted))


def _wanted() -> Iterator[Edge]:
    for row in SERVICES:
        yield from ((row.name, server, port) for server, port in SERVERS.items())
        yield HEALTHCHECK.name, row.name, PORT
    yield from (("prepare", server, port) for server, port in SERVERS.items())
    yield from (("proxy", row.name, PORT) for row in FRONT)
    # Whoever calls addresses that people name may ask the front door too: that is where strangers come in.
    yield from ((row.name, "proxy", 3000) for row in SERVICES if row.outside)


def edges(composed: Composed) -> Iterator[Edge]:
    """What the policies let through, both ends asked."""
    policies = list(composed.of_kind("NetworkPolicy"))
    for source in composed.workloads:
        for target in composed.workloads:
            for port in _PORTS:
                out = _let(policies, source, "Egress", target.labels, port)
                if out and _let(policies, target, "Ingress", source.labels, port):
                    yield source.name, target.name, port


def _let(policies: list[Manifest], here: Workload, kind: str, there: Mapping[str, str], port: int) -> bool:
    chosen = [
        policy["spec"]
        for policy in policies
        if kind in policy["spec"].get("policyTypes", []) and selects(policy["spec"].get("podSelector"), here.labels)
    ]
    if not chosen:
        return True
    rules, side = ("egress", "to") if kind == "Egress" else ("ingress", "from")
    return any(
        _port(rule, port) and (not rule.get(side) or any(_peer(peer, there) for peer in rule[side]))
        for spec in chosen
        for rule in spec.get(rules, [])
    )


def _port(rule: Manifest, port: int) -> bool:
    return not rule.get("ports") or any(one["port"] == port for one in rule["ports"])


def _peer(peer: Manifest, labels: Mapping[str, str]) -> bool:
    """Whether a pod of this namespace is meant. One of all addresses is, one of another namespace is not."""
    if "ipBlock" in peer:
        return peer["ipBlock"]["cidr"] == "0.0.0.0/0"
    return "namespaceSelector" not in peer and selects(peer.get("podSelector"), labels)
