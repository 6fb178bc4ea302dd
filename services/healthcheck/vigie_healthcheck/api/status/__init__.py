"""Status pages and badges, which anybody may see of what is public."""
