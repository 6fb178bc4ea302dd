"""The pipeline: how much goes through it, how far it is behind, what it set aside, and what it proves of itself."""
