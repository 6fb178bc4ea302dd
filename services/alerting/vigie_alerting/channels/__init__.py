"""Channels: what is known of where notifications go."""
