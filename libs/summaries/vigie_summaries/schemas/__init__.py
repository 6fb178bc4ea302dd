"""The answers of the summaries."""
