"""/stats/alerts."""
