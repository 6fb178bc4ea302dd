"""/api/health/services: what is watched."""
