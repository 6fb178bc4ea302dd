"""Texts of alerts: sandboxed Jinja, and the Go templates of Prometheus' rule files. No template can hold the process.

`check(text)` is asked when a rule is written and says what is wrong; `render(text, labels, value)` never fails: an
alert with a broken sentence is still an alert.
"""

from __future__ import annotations

from vigie_alerting.templates.errors import InvalidTemplateError
from vigie_alerting.templates.numbers import number
from vigie_alerting.templates.rendering import MAX_OUTPUT_CHARS, check, render, render_all

__all__ = ["MAX_OUTPUT_CHARS", "InvalidTemplateError", "check", "number", "render", "render_all"]
