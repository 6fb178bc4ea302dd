"""/api/alerts/inhibitions."""
