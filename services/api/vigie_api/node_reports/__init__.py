"""What nodes report, for those who look after the platform."""
