"""/api/alerts/silences."""
