"""Metrics that apps send of themselves, over a live connection."""
