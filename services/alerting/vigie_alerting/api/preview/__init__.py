"""/api/alerts/rules/preview."""
