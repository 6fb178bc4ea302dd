"""Where records come from: a file for each source."""
