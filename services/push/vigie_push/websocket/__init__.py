"""The transport of WebSockets."""
