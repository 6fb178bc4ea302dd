"""The rules of tenants: changed, kept with their versions, and published."""
