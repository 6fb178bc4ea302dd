"""Pictures of every page of the dashboard: `make screenshots`."""
