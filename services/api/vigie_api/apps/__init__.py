"""What apps say of themselves: the apps, their history, and their numbers over time."""
