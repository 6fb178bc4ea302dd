"""Badges: a small SVG with a label and a value, as they stand in README files."""

from __future__ import annotations

import unicodedata
from enum import StrEnum
from html import escape
from typing import Final

from vigie_contracts.checks import Verdict
from vigie_contracts.problems import shortened

MAX_LABEL_CHARS: Final = 60
_EM: Final = 11
"""Pixels of the font."""
_PADDING: Final = 6
_UNITS: Final = 2048
"""Per em: what the widths of a font's letters are given in."""
_WIDTHS: Final[dict[str, int]] = dict(
    zip(
        map(chr, range(32, 127)),
        (
            *(720, 806, 940, 1676, 1302, 2204, 1488, 550, 930, 930, 1302, 1676, 745, 930, 745, 930),
            *(1302,) * 10,
            *(930, 930, 1676, 1676, 1676, 1117, 2048),
            *(1400, 1404, 1430, 1578, 1295, 1177, 1588, 1539, 862, 931, 1419, 1140, 1726),
            *(1532, 1612, 1235, 1612, 1424, 1400, 1262, 1499, 1400, 2025, 1403, 1260, 1403),
            *(930, 930, 930, 1676, 1302, 1302),
            *(1230, 1276, 1067, 1276, 1220, 720, 1276, 1296, 562, 705, 1212, 562, 1992),
            *(1296, 1243, 1276, 1276, 874, 1067, 807, 1296, 1212, 1676, 1212, 1212, 1076),
            *(1300, 930, 1300, 1676),
        ),
        strict=True,
    )
)
"""Of Verdana."""
_OTHER: Final = 1302


class Colour(StrEnum):
    """White text on each of them has a contrast of 4.5:1 or more."""

    GREEN = "#1a7f37"
    AMBER = "#8f5f00"
    RED = "#c02028"
    BLUE = "#0b64b8"
    GREY = "#57606a"


_LABEL_COLOUR: Final = "#3d444d"
COLOURS: Final = {
    Verdict.UP: Colour.GREEN,
    Verdict.DEGRADED: Colour.AMBER,
    Verdict.DOWN: Colour.RED,
    Verdict.UNKNOWN: Colour.GREY,
}
UNKNOWN: Final = Verdict.UNKNOWN.value
"""The value of which nothing is known."""
_SVG: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{title}">'
    "<title>{title}</title>"
    '<clipPath id="r"><rect width="{width}" height="20" rx="3"/></clipPath>'
    '<g clip-path="url(#r)"><rect width="{left}" height="20" fill="{label_colour}"/>'
    '<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>'
    '<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="{em}" aria-hidden="true">'
    '<text x="{padding}" y="14" textLength="{label_length}">{label}</text>'
    '<text x="{value_x}" y="14" textLength="{value_length}">{value}</text></g></svg>'
)


def badge(label: str, value: str, colour: Colour) -> str:
    """The SVG. What is long of the label is cut; browsers stretch both texts to the widths that are counted here."""
    label = shortened(_printable(label), MAX_LABEL_CHARS) or " "
    label_length, value_length = length(label), length(value)
    left, right = label_length + 2 * _PADDING, value_length + 2 * _PADDING
    return _SVG.format(
        width=left + right,
        left=left,
        right=right,
        title=escape(f"{label}: {value}"),
        label=escape(label),
        value=escape(value),
        colour=colour,
        label_colour=_LABEL_COLOUR,
        em=_EM,
        padding=_PADDING,
        label_length=label_length,
        value_x=left + _PADDING,
        value_length=value_length,
    )


def of_state(label: str, state: Verdict) -> str:
    """What a target is now."""
    return badge(label, state.value, COLOURS[state])


def of_uptime(label: str, percent: float | None) -> str:
    """`99.98 %`, rounded down; the colour by what people call good."""
    if percent is None:
        return badge(label, UNKNOWN, Colour.GREY)
    colour = Colour.GREEN if percent >= 99.5 else Colour.AMBER if percent >= 95 else Colour.RED
    return badge(label, f"{round(percent * 10_000) // 100 / 100:g}%", colour)


def of_latency(label: str, seconds: float | None) -> str:
    """`123 ms`. What is fast only its users know, so there is one colour."""
    if seconds is None:
        return badge(label, UNKNOWN, Colour.GREY)
    return badge(label, f"{seconds:.1f} s" if seconds >= 10 else f"{seconds * 1000:.0f} ms", Colour.BLUE)


def length(text: str) -> int:
    """Pixels, rounded up."""
    units = sum(_WIDTHS.get(one, _other(one)) for one in text)
    return -(-units * _EM // _UNITS)


def _other(letter: str) -> int:
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return _UNITS if unicodedata.east_asian_width(letter) in ("W", "F") else _OTHER


def _printable(text: str) -> str:
    """XML has no control characters, and no halves of surrogate pairs."""
    return "".join(one if one.isprintable() else " " for one in text)
