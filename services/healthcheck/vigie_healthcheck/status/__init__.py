"""The public status page of a tenant: what it shows, and how that looks as a page and as a feed. Pure."""
