"""What keeps an agent from its work, as sentences."""

from __future__ import annotations


class AgentError(Exception):
    """Something that whoever runs the agent has to put right: one sentence."""


class BadSettingError(AgentError):
    """A variable or an option that cannot be used."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} {why}.")


class StateAwayError(AgentError):
    """The directory of the agent cannot be used, or another agent uses it."""

    def __init__(self, directory: object, why: str) -> None:
        super().__init__(f"The state directory {directory} cannot be used: {why}. VIGIE_AGENT_STATE_DIR names another.")


class BusAwayError(AgentError):
    """There is no system bus, or no systemd on it."""

    def __init__(self, why: str) -> None:
        super().__init__(f"not available: {why}")
