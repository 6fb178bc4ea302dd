"""/api/alerts/maintenance."""
