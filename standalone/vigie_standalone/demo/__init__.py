"""The simulator of five booking services: `model` and `messages` are pure, `sender` and `run` do the talking."""
