"""From samples to transitions: which series the rules select, their recent windows, evaluation, and states."""
