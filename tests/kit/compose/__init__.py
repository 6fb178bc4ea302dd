"""The compose stack for real: a Docker daemon, Compose, images from a registry or stand-ins for them, and the stack."""
