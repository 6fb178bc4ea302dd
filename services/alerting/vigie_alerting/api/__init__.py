"""The HTTP API of alerting: a folder per feature."""
