"""What the live connections of a tenant are."""
