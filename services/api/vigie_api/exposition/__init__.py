"""The latest values of a tenant as Prometheus text."""
