"""What is said about nodes: pure arithmetic over what the store has already added up."""
