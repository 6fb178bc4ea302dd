"""Logging in, staying logged in, and who one is."""
