"""Tenants, users and keys, and what was changed of them."""
