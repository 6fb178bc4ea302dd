"""Recording rules: what an expression gives becomes samples of a metric of its own."""
