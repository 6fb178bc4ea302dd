"""Silences: what people keep quiet for a while, once or again and again."""
