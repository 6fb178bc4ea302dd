"""How messages are rendered and sent, a file for each kind of channel."""
