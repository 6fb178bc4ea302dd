"""Vigie's own measurements: `vigie up` watches its HTTP traffic, and sends that as any client does."""
