"""The `vigie` command: every server and service of Vigie on one machine, and the operator's tools."""
