"""Finding what is recorded."""
