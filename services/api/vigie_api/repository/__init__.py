"""All reading of MongoDB and Redis."""
