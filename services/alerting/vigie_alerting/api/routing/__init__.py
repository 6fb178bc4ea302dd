"""/api/alerts/routes: who is told of which alerts."""
