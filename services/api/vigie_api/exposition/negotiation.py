"""Content negotiation of GET /metrics: the format, and the escaping of names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vigie_summaries.families.escaping import Escaping


class Format(StrEnum):
    TEXT = "text/plain"
    OPENMETRICS = "application/openmetrics-text"


@dataclass(frozen=True, slots=True)
class NegotiatedFormat:
    """The negotiated format and escaping."""

    format: Format
    escaping: Escaping

    @property
    def content_type(self) -> str:
        """Of the answer."""
        if self.format is Format.TEXT and self.escaping is Escaping.UNDERSCORES:
            return "text/plain; version=0.0.4; charset=utf-8"
        version = "1.0.0"  # of the text format too: 0.0.4 and quoted names
        return f"{self.format.value}; version={version}; charset=utf-8; escaping={self.escaping.value}"


def negotiate(accept: str) -> NegotiatedFormat:
    """What the header Accept asks for; text with underscores when it says nothing that is known."""
    best, best_quality = NegotiatedFormat(Format.TEXT, Escaping.UNDERSCORES), -1.0
    for entry in accept.split(","):
        media, *parameters = (part.strip() for part in entry.split(";"))
        options = dict(_pair(parameter) for parameter in parameters)
        format_ = _format(media.lower(), options)
        quality = _quality(options.get("q", "1"))
        if format_ is not None and quality > max(best_quality, 0.0):
            best, best_quality = NegotiatedFormat(format_, _escaping(options.get("escaping", ""))), quality
    return best


def _format(media: str, options: dict[str, str]) -> Format | None:
    if media == Format.OPENMETRICS:
        return Format.OPENMETRICS if options.get("version", "1.0.0") in ("1.0.0", "0.0.1") else None
    if media in (Format.TEXT, "text/*", "*/*"):
        return Format.TEXT
    return None


def _escaping(name: str) -> Escaping:
    """`dots` is another reversible form; those who can read it can read `values` too."""
    if name == "dots":
        return Escaping.VALUES
    return next((known for known in Escaping if known.value == name), Escaping.UNDERSCORES)


def _pair(parameter: str) -> tuple[str, str]:
    name, _, value = parameter.partition("=")
    return name.strip().lower(), value.strip().strip('"').lower()


def _quality(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0
