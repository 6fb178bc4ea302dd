"""Service level objectives: what they compile to, and how much of their error budgets is left."""
