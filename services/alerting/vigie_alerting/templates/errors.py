"""What can be wrong with a template."""

from __future__ import annotations


class InvalidTemplateError(ValueError):
    """The text is no template, or asks for what templates of alerts do not have. `line` counts from 1."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason if line is None or line == 1 else f"line {line}: {reason}")
        self.reason = reason
        self.line = line
