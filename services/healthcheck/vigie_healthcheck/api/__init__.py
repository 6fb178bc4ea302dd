"""The routes of healthcheck: a folder for each feature."""
