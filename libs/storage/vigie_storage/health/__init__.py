"""What is known of targets: their definitions, states, incidents, checks and heartbeats."""
