"""The agent of a machine: what it, its sites and their services do, sent to Vigie; services started and stopped for
those who may. Runs as an ordinary user, opens no port, calls no shell."""
