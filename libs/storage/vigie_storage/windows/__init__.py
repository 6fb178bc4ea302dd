"""Windows: `document` (their shape) and `reader`. `partitions.store` writes them, with the offsets that they hold."""
