"""The targets of tenants: what they may be, how they are written and shown, and changed."""
