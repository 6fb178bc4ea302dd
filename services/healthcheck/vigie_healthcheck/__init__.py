"""Health probing: asks targets whether they answer, and says so."""
