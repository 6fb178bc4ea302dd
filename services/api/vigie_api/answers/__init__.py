"""The shapes of the answers: what the OpenAPI document promises."""
