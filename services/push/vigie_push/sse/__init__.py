"""The transport of server-sent events."""
