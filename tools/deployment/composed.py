"""Manifests as kustomize composes them, and what is asked of them again and again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Manifest = dict[str, Any]
KINDS_WITH_PODS: Final = ("Deployment", "StatefulSet", "DaemonSet", "Job")


@dataclass(frozen=True, slots=True)
class Workload:
    """What makes pods, and the pod that it makes."""

    kind: str
    name: str
    manifest: Manifest

    @property
    def template(self) -> Manifest:
        return self.manifest["spec"]["template"]

    @property
    def pod(self) -> Manifest:
        return self.template["spec"]

    @property
    def labels(self) -> dict[str, str]:
        return self.template["metadata"]["labels"]

    @property
    def containers(self) -> list[Manifest]:
        return [*self.pod.get("initContainers", []), *self.pod["containers"]]

    @property
    def ours(self) -> bool:
        """Whether it runs an image of ours, wherever that is kept."""
        return any("vigie/" in container["image"] for container in self.pod["containers"])


@dataclass(frozen=True, slots=True)
class Composed:
    """Everything that would be applied."""

    manifests: Sequence[Manifest]

    def of_kind(self, *kinds: str) -> Iterator[Manifest]:
        return (one for one in self.manifests if one["kind"] in kinds)

    def named(self, kind: str) -> dict[str, Manifest]:
        return {one["metadata"]["name"]: one for one in self.of_kind(kind)}

    @property
    def workloads(self) -> list[Workload]:
        return [Workload(one["kind"], one["metadata"]["name"], one) for one in self.of_kind(*KINDS_WITH_PODS)]

    @property
    def lasting(self) -> list[Workload]:
        """Those that run all the time."""
        return [one for one in self.workloads if one.kind != "Job"]

    def variables(self, container: Manifest) -> dict[str, str]:
        """What a container's environment says, ConfigMaps included; of a reference the name of its kind."""
        found: dict[str, str] = {}
        for source in container.get("envFrom", []):
            if "configMapRef" in source:
                found |= self.named("ConfigMap").get(source["configMapRef"]["name"], {}).get("data", {})
        for one in container.get("env", []):
            found[one["name"]] = one["value"] if "value" in one else next(iter(one.get("valueFrom", {"": ""})))
        return found


def selects(selector: Manifest | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector fits: an empty one fits everything, none fits nothing."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(_fits(rule, labels) for rule in selector.get("matchExpressions", []))


def _fits(rule: Manifest, labels: Mapping[str, str]) -> bool:
    value = labels.get(rule["key"])
    match rule["operator"]:
        case "In":
            return value in rule["values"]
        case "NotIn":
            return value not in rule["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case other:
            raise ValueError(f"{other} is no operator of a label selector")
