"""Brings along what a server supervision knows that Vigie replaces: a dump of its MongoDB. `run` puts it together."""
