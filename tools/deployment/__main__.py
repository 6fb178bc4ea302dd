"""Writes the manifests in `deploy/k8s` that the table decides: `python -m tools.deployment`."""

from tools.deployment.manifests import write

write()
