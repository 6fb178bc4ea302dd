"""The rules on hosts, sites and services go by how hosts are watched (`/stats/config`)."""
