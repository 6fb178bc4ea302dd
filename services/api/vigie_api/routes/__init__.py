"""The HTTP routes: parameters in, one question, answer out."""
