"""One function of one metric over time."""
