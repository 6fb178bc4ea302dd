"""Hosts and sites: what there is, what their agents ask for."""
