"""How names with unusual characters are written for Prometheus."""

from __future__ import annotations

from enum import StrEnum


class Escaping(StrEnum):
    """How a name with other characters than [a-zA-Z0-9_:] is written."""

    UTF8 = "allow-utf-8"
    """As it is, in quotes."""
    UNDERSCORES = "underscores"
    """Every other character becomes an underscore."""
    VALUES = "values"
    """Reversibly: U__http_2e_server."""
