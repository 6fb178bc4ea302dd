"""Reports, and what is counted of nodes': `documents` (their shapes), `writer`, `reader`, `totals` (what it gives)."""
