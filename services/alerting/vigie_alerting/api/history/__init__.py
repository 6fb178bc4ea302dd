"""Alerts that a replaced system had."""
