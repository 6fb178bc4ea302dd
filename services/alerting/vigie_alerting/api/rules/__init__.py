"""/api/alerts/rules."""
