"""/api/v2: what clients of Alertmanager ask for."""
