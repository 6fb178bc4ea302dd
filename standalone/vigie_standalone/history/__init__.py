"""Brings the telemetry of a replaced system in, from a file of any length. `run` puts it together."""
