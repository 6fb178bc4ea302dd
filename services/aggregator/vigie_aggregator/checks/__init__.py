"""The results of probes: stored, each once."""
