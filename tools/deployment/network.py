"""Who may talk to whom: nobody, but along the edges below."""

from __future__ import annotations

from typing import Any, Final

from tools.deployment.services import FRONT, HEALTHCHECK, PORT, SERVERS, SERVICES
from tools.deployment.workloads import NAME, PART_OF, Manifest, labels

_OURS: Final = [row.name for row in SERVICES]
_USERS: Final = [*_OURS, "prepare"]
"""Of the servers."""
PROXY_PORT: Final = 3000


def policies() -> list[Manifest]:
    """One policy per kind of edge. What leads to the servers is replaced where they are elsewhere."""
    return [
        # Of our own pods: those of operators are under the policies of their operators.
        _policy("default-deny", {"matchLabels": PART_OF}, {"ingress": [], "egress": []}),
        _policy(
            "to-dns",
            {"matchLabels": PART_OF},
            {"egress": [{"ports": [_port(53, "UDP"), _port(53, "TCP")], "to": [_namespace(_DNS)]}]},
        ),
        *(_to_server(server, port) for server, port in SERVERS.items()),
        _policy(
            "front-door",
            _named([row.name for row in FRONT]),
            {"ingress": [{"ports": [_port(PORT)], "from": [_pods(labels("proxy"))]}]},
        ),
        _policy(
            "checks",
            _named(_OURS),
            {"ingress": [{"ports": [_port(PORT)], "from": [_pods(labels(HEALTHCHECK.name))]}]},
        ),
        _policy(
            "to-checked",
            _named([HEALTHCHECK.name]),
            {"egress": [{"ports": [_port(PORT)], "to": [_pods(PART_OF)]}]},
        ),
        # Webhooks, mail servers and targets are where people say, at any port. The metadata service of clouds is not
        # among them; what else is private is refused by the services themselves, unless settings name it.
        _policy(
            "to-outside",
            _named([row.name for row in SERVICES if row.outside]),
            {"egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}]}]},
        ),
    ]


_DNS: Final = "kube-system"


def _to_server(server: str, port: int) -> Manifest:
    to = {"ports": [_port(port)], "to": [_pods({NAME: server})]}
    return _policy(f"to-{server}", _named(_USERS), {"egress": [to]})


def from_users(server: str, port: int) -> Manifest:
    """The other side, where the server is one of ours."""
    may = {"ports": [_port(port)], "from": [{"podSelector": _named(_USERS)}]}
    return _policy(server, {"matchLabels": {NAME: server}}, {"ingress": [may]})


def proxy() -> Manifest:
    """Anybody may come to the proxy; it goes to those behind the front door."""
    return _policy(
        "proxy",
        {"matchLabels": labels("proxy")},
        {
            "ingress": [{"ports": [_port(PROXY_PORT)]}],
            "egress": [{"ports": [_port(PORT)], "to": [{"podSelector": _named([row.name for row in FRONT])}]}],
        },
    )


def gateway() -> Manifest:
    """The gateway's own pods, wherever their namespace has the label that says so."""
    comes = [{"namespaceSelector": {"matchLabels": {"vigie.example.com/front-door": "true"}}}]
    return _policy(
        "gateway", _named([row.name for row in FRONT]), {"ingress": [{"ports": [_port(PORT)], "from": comes}]}
    )


def monitoring() -> list[Manifest]:
    """Prometheus asks everybody; whoever makes traces sends them."""
    watchers = _namespace("monitoring")
    return [
        _policy("scrapes", _named(_OURS), {"ingress": [{"ports": [_port(PORT)], "from": [watchers]}]}),
        _policy("to-traces", _named(_OURS), {"egress": [{"ports": [_port(4318)], "to": [watchers]}]}),
    ]


def _policy(name: str, selector: Manifest, rules: dict[str, list[Any]]) -> Manifest:
    kinds = [kind.capitalize() for kind in rules]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": PART_OF},
        "spec": {
            "podSelector": selector,
            "policyTypes": kinds,
            **{direction: edges for direction, edges in rules.items() if edges},
        },
    }


def _named(names: list[str]) -> Manifest:
    return {"matchExpressions": [{"key": NAME, "operator": "In", "values": names}]}


def _pods(chosen: dict[str, str]) -> Manifest:
    return {"podSelector": {"matchLabels": chosen}}


def _namespace(name: str) -> Manifest:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _port(number: int, protocol: str = "TCP") -> Manifest:
    return {"port": number, "protocol": protocol}
