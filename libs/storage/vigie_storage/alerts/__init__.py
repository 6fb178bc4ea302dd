"""Alerts: the ledger of transitions, the outbox of notifications, the channels of tenants."""
