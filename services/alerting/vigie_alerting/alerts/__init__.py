"""Alerts as people see and move them."""
