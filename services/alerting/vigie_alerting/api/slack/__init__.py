"""/api/alerts/slack."""
