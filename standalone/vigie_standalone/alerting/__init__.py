"""`vigie alerts`, `vigie rules`, `vigie channels`: alerting from the shell, over HTTP."""
