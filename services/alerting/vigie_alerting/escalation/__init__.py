"""Who is told when nobody acknowledges."""
