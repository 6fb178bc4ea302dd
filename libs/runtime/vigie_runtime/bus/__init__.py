"""Kafka: publishers, readers, topics and dead letters. Nothing else talks to it."""
