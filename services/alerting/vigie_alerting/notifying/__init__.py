"""From transitions to notifications: who is told, together with what, now or later, and why not."""
