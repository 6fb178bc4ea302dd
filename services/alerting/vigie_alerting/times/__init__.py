"""Time intervals, as Alertmanager has them: when routes are muted, or active."""
