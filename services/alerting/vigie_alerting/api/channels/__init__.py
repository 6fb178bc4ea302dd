"""/api/alerts/channels."""
