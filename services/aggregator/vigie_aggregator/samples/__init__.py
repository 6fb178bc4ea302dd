"""Samples to windows, exactly once."""
