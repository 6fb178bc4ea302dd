"""The latest values as Prometheus text: pure."""
