"""Where heartbeats are heard."""
