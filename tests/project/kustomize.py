"""As much of kustomize as deploy/k8s uses, so that its tests need no kubectl. Where kubectl is, they are compared."""

import copy
import re
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]
UNDERSTOOD = {
    "apiVersion", "kind", "namespace", "resources", "components", "configMapGenerator", "patches", "replicas",
}  # fmt: skip


def compose(directory: Path) -> list[Manifest]:
    """What `kubectl kustomize` gives, in another order, and ConfigMaps without the hash of their contents."""
    manifests: list[Manifest] = []
    _enter(directory, manifests)
    return manifests


def _enter(directory: Path, manifests: list[Manifest]) -> None:
    said = yaml.safe_load((directory / "kustomization.yaml").read_text(encoding="utf-8"))
    assert set(said) <= UNDERSTOOD, f"{directory}: {set(said) - UNDERSTOOD}"
    for resource in said.get("resources", []):
        path = (directory / resource).resolve()
        if path.is_dir():
            _enter(path, manifests)
        else:
            manifests += yaml.safe_load_all(path.read_text(encoding="utf-8"))
    for component in said.get("components", []):
        _enter((directory / component).resolve(), manifests)
    for config in said.get("configMapGenerator", []):
        _generate(directory, config, manifests)
    for patch in said.get("patches", []):
        _patch(patch, manifests)
    for wanted in said.get("replicas", []):
        _one(manifests, "Deployment", wanted["name"])["spec"]["replicas"] = wanted["count"]
    for one in manifests if "namespace" in said else []:
        if one["kind"] != "Namespace":
            one["metadata"]["namespace"] = said["namespace"]


def _generate(directory: Path, config: Manifest, manifests: list[Manifest]) -> None:
    data = dict(literal.split("=", 1) for literal in config.get("literals", []))
    data |= {name: (directory / name).read_text(encoding="utf-8") for name in config.get("files", [])}
    if config.get("behavior") == "merge":
        _one(manifests, "ConfigMap", config["name"])["data"] |= data
    else:
        manifests.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": config["name"]}, "data": data})


def _one(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    [found] = [one for one in manifests if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def _patch(patch: Manifest, manifests: list[Manifest]) -> None:
    target = patch["target"]
    chosen = [
        one
        for one in manifests
        if one["kind"] == target["kind"] and re.fullmatch(target["name"], one["metadata"]["name"])
    ]
    assert chosen, f"nothing is patched by {patch}"
    for one in chosen:
        for step in yaml.safe_load(patch["patch"]):
            _step(one, step)


def _step(one: Manifest, step: Manifest) -> None:
    *way, last = step["path"].strip("/").split("/")
    at: Any = one
    for key in way:
        at = at[int(key) if isinstance(at, list) else key]
    value = copy.deepcopy(step.get("value"))
    match step["op"], at:
        case "add", list() if last == "-":
            at.append(value)
        case (("add" | "replace"), dict()):
            at[last] = value
        case "replace", list():
            at[int(last)] = value
        case "remove", dict():
            del at[last]
        case other:
            raise ValueError(f"{other} is not understood")
