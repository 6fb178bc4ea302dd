"""The summary of each area."""
