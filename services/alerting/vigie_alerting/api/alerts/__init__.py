"""/api/alerts."""
