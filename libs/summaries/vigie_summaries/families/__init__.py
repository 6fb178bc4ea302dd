"""The catalogue of a tenant by metric name, in memory."""
