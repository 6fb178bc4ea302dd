"""Which file of `deploy/k8s` holds what. These and the sizes in the guide are written, others edited by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from tools.deployment import front, network, scaling, watching, workloads
from tools.deployment.services import SERVERS, SERVICES, SETTINGS
from tools.deployment.workloads import Manifest

DIRECTORY: Final = Path(__file__).parents[2] / "deploy" / "k8s"
GUIDE: Final = DIRECTORY.parents[1] / "docs" / "how-to" / "install-on-kubernetes.md"
_BEGIN: Final = "<!-- sizes: written by `python -m tools.deployment` -->"
_END: Final = "<!-- end of sizes -->"
HEADER: Final = "# Written by `python -m tools.deployment` from the table in tools/deployment/services.py.\n"


def written() -> dict[str, str]:
    """Path below `deploy/k8s` to contents."""
    horizontal, keda = scaling.both()
    files: dict[str, list[Manifest]] = {
        "base/kustomization.yaml": [_base()],
        **{f"base/{row.name}.yaml": workloads.service(row) for row in SERVICES},
        "base/prepare.yaml": workloads.prepare(),
        "base/network.yaml": network.policies(),
        **{
            f"components/dev-servers/{server}-network.yaml": [network.from_users(server, port)]
            for server, port in SERVERS.items()
            if server != "redis"
        },
        "components/redis/network.yaml": [network.from_users("redis", SERVERS["redis"])],
        "components/ingress/network.yaml": [network.proxy()],
        "components/gateway/routes.yaml": [front.routes(), network.gateway()],
        "components/hpa/scalers.yaml": horizontal,
        "components/keda/scalers.yaml": keda,
        "components/monitoring/scrapes.yaml": [watching.monitor(row) for row in SERVICES],
        "components/monitoring/rules.yaml": [watching.rules()],
        "components/monitoring/network.yaml": network.monitoring(),
    }
    return {
        **{path: HEADER + _dump(manifests) for path, manifests in files.items()},
        # kustomize reads no file above its own directory, and neither a proxy nor a database reads another one's.
        "components/ingress/Caddyfile": front.caddyfile(),
        "components/dev-servers/ready.js": (DIRECTORY.parent / "mongodb" / "ready.js").read_text(encoding="utf-8"),
    }


def _base() -> Manifest:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [*(f"{row.name}.yaml" for row in SERVICES), "prepare.yaml", "network.yaml"],
        "configMapGenerator": [{"name": "vigie", "literals": [f"{name}={value}" for name, value in SETTINGS.items()]}],
    }


class _Dumper(yaml.SafeDumper):
    """Without anchors, long texts as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def _dump(manifests: list[Manifest]) -> str:
    return yaml.dump_all(manifests, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def sizes(page: str) -> str:
    """The guide, with the sizes of the table between the two lines that say so."""
    rows = [
        f"| {row.name} | {row.replicas} to {row.most_replicas} | {row.resources.cpu:g} | {row.resources.memory} MiB | "
        f"{row.resources.memory_limit} MiB | {row.resources.sized_for} |"
        for row in SERVICES
    ]
    head = [
        "| service | replicas | cores | memory | at most | a replica takes |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    before, _, rest = page.partition(_BEGIN)
    return "\n".join([before + _BEGIN, *head, *rows, _END + rest.partition(_END)[2]])


def differing() -> list[str]:
    """The files that are not what would be written."""
    page = GUIDE.read_text(encoding="utf-8")
    guide = [] if sizes(page) == page else [GUIDE.name]
    return guide + [
        path
        for path, contents in written().items()
        if not (DIRECTORY / path).is_file() or (DIRECTORY / path).read_text(encoding="utf-8") != contents
    ]


def write() -> None:
    for path, contents in written().items():
        (DIRECTORY / path).parent.mkdir(parents=True, exist_ok=True)
        (DIRECTORY / path).write_text(contents, encoding="utf-8")
    GUIDE.write_text(sizes(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
