"""`vigie alerts`, `vigie rules`, `vigie channels`, `vigie routes`: alerting from the shell, over HTTP."""
