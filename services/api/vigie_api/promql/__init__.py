"""The query API of Prometheus: PromQL over the stored windows, for Grafana and every other client of it."""
