"""/api/v1/rules and /api/v1/alerts, as Prometheus answers them."""
