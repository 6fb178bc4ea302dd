"""Hosts: their reports, the sites on them, what agents asked for, and how they are watched."""
