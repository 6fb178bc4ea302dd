"""Samples for PromQL, from the stored windows."""
