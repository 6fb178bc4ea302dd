"""What the summaries and dashboards say, computed from samples: pure."""
