"""The HTTP shell of every service: server, access, problems, health, OpenAPI."""
