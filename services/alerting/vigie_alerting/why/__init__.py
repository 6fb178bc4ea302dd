"""Why somebody was told of an alert, or not."""
