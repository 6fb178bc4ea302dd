"""What is known of targets, read over HTTP."""
