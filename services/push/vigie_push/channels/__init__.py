"""What can be subscribed to: a file for each channel, and a line in the registry."""
