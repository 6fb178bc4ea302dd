"""Where clients of the system that Vigie replaces look for the reference."""
