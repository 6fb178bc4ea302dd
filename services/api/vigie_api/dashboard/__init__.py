"""The summaries and charts that user interfaces show."""
