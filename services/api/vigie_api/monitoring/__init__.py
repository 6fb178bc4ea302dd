"""How hosts are watched."""
