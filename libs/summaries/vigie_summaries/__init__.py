"""The summaries of a tenant: systems, applications, business and all of it, as `/api/metrics/` answers them."""
