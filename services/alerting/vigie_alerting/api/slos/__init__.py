"""/api/slos."""
