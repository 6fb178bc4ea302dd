"""A catcher of mails and webhooks on the loopback: what alerting sends can be seen before any channel is set up."""

SLACK_PATH = "/slack"
"""Of calls in Slack's form; all others are webhooks."""
