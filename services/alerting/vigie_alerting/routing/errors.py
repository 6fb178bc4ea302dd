"""What is answered about routes."""

from __future__ import annotations

from vigie_alerting.rulebook.errors import InvalidRule


class InvalidRoutes(InvalidRule):
    """The routes are refused, with everything that is wrong with them."""
