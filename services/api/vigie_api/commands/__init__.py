"""Actions on the services of sites: asked for here, done by agents."""
