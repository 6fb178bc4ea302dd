"""Sites: what is where."""
