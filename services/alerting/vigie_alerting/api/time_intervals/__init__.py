"""/api/alerts/time-intervals."""
