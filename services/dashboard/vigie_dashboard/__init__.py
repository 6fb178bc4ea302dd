"""The dashboard: static files of a single page app, which is a client of the API like any other."""
