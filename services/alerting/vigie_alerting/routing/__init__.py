"""Routing: who is told of an alert, by its labels."""
