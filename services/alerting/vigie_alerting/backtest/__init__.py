"""Rules over a past that is known: what they would have done, by the code that evaluates them now."""
