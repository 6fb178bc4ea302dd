"""Slack by the token of an app: messages that are edited while their alerts go on, and buttons."""
