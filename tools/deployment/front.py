"""The front door in Kubernetes, from the one path table: routes of the Gateway API, and the proxy behind an Ingress.

An Ingress knows no methods, and the table has them: so an Ingress sends everything to the proxy of the compose stack.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from vigie_contracts.paths import EVERY, FALLBACK, PATH_RULES, Service, service_of

from tools.deployment.services import FRONT, PORT
from tools.deployment.workloads import PART_OF, Manifest

CADDYFILE: Final = Path(__file__).parents[2] / "deploy" / "proxy" / "Caddyfile"
_BALANCER: Final = "# trusted_proxies static 192.0.2.10"
_NOTHING: Final = "/internal"
"""What services say of themselves is for Prometheus, which asks them directly."""
_DOCUMENT: Final = "/openapi.json"


def caddyfile() -> str:
    """The compose proxy's, which here believes the addresses in PROXY_BALANCERS: of the Ingress controller."""
    config = CADDYFILE.read_text(encoding="utf-8")
    assert _BALANCER in config
    return config.replace(_BALANCER, "trusted_proxies static {$PROXY_BALANCERS:127.0.0.1/32}")


def routes() -> Manifest:
    """An HTTPRoute with one rule per service and methods; what fits none goes to the fallback."""
    rules: list[Manifest] = [_rule(None, [_match(_NOTHING, "PathPrefix", None)])]
    for (service, methods), paths in _groups().items():
        matches = [
            _match(path, kind, method) for path, kind in paths for method in ([None] if methods == EVERY else methods)
        ]
        rules.append(_rule(service, matches))
    rules += [_document(row.name) for row in FRONT if row.name != FALLBACK]
    rules.append(_rule(FALLBACK, [_match("/", "PathPrefix", None)]))
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "vigie", "labels": PART_OF},
        "spec": {"parentRefs": [{"name": "vigie"}], "rules": rules},
    }


def _document(service: str) -> Manifest:
    """Each service has a document of what it answers; that of the fallback is `/openapi.json` itself."""
    whole = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": _DOCUMENT}}}
    rule = _rule(Service(service), [_match(f"/openapi/{service}.json", "Exact", None)])
    return {**rule, "filters": [whole]}


def _groups() -> dict[tuple[Service, tuple[str, ...]], list[tuple[str, str]]]:
    groups: dict[tuple[Service, tuple[str, ...]], list[tuple[str, str]]] = {}
    exact = {row.path for row in PATH_RULES}
    for row in PATH_RULES:
        if row.service is Service.DASHBOARD:
            continue  # files, which only the proxy behind an Ingress has
        if row.path.startswith("*"):
            found = (f"/.*{row.path[1:]}", "RegularExpression")
        elif row.path.endswith("/*"):
            found = (row.path[:-2], "PathPrefix")
        else:
            found = (row.path, "Exact")
        groups.setdefault((row.service, row.methods), []).append(found)
        # A prefix of the Gateway API is also the path itself, of which the table may say something else.
        base = row.path[:-2]
        if row.path.endswith("/*") and base not in exact and service_of(row.methods[0], base) is not row.service:
            groups.setdefault((service_of(row.methods[0], base), EVERY), []).append((base, "Exact"))
    return groups


def _match(path: str, kind: str, method: str | None) -> Manifest:
    return {"path": {"type": kind, "value": path}, **({"method": method} if method else {})}


def _rule(service: Service | None, matches: list[Manifest]) -> Manifest:
    to = {"backendRefs": [{"name": str(service), "port": PORT}]} if service else {}
    return {"matches": matches, **to}
