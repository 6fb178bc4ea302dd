"""Alerts that no rule evaluates: others send them, and say when they end."""
