"""The table of services, and the Kubernetes manifests that are written from it: `python -m tools.deployment`."""
