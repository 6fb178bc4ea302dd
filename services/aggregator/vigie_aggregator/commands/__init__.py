"""What became of commands."""
