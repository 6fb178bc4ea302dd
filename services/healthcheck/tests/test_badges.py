"""Badges: right for whatever a target is called, and legible."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from vigie_contracts.checks import Verdict
from vigie_healthcheck import badges
from vigie_healthcheck.badges import COLOURS, Colour, badge, length, of_latency, of_state, of_uptime

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "</text><script>alert(1)</script>", '"><svg onload=alert(1)>', "]]>&nbsp;", "\0\x1b\ud800", "", "x" * 5_000,
    "🙂é\u0301漢字",
]  # fmt: skip


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_gives_well_formed_svg_that_holds_it_as_text(name: str) -> None:
    root = ElementTree.fromstring(of_state(name, Verdict.UP))
    tags = {one.tag.removeprefix(SVG) for one in root.iter()}
    assert tags == {"svg", "title", "clipPath", "rect", "g", "text"}
    assert not [key for one in root.iter() for key in one.attrib if key.startswith("on")]
    assert len(of_state(name, Verdict.UP)) < 2_500
    label, value = texts(of_state(name, Verdict.UP))
    assert (label[:20].strip(), value) == ("".join(c if c.isprintable() else " " for c in name)[:20].strip(), "up")


def test_a_badge_has_a_title_and_boxes_that_its_texts_fit_into() -> None:
    root = ElementTree.fromstring(badge("api", "99.9%", Colour.GREEN))
    assert (root.get("role"), root.get("aria-label"), root.findtext(f"{SVG}title")) == ("img", *("api: 99.9%",) * 2)
    left, right = (int(one.get("width", "")) for one in root.iter(f"{SVG}rect") if one.get("rx") is None)
    assert int(root.get("width", "")) == left + right
    label, value = root.iter(f"{SVG}text")
    assert int(label.get("x", "")) + int(label.get("textLength", "")) < left
    assert left < int(value.get("x", "")) < int(value.get("x", "")) + int(value.get("textLength", "")) < left + right


def test_widths_are_those_of_the_letters() -> None:
    assert length("iiii") < length("mmmm") / 3
    assert length("漢字") == 22
    assert length("e\u0301") == length("e")
    assert length("unknown") == 51


@pytest.mark.parametrize("colour", [*Colour, badges._LABEL_COLOUR])
def test_white_text_has_enough_contrast(colour: str) -> None:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    assert 1.05 / (luminance + 0.05) >= 4.5


def test_what_is_not_known_is_said() -> None:
    for svg in (of_uptime("a", None), of_latency("a", None), of_state("a", Verdict.UNKNOWN)):
        assert texts(svg) == ["a", "unknown"]
        assert COLOURS[Verdict.UNKNOWN] in svg


@pytest.mark.parametrize(
    ("percent", "text", "colour"),
    [
        (100.0, "100%", Colour.GREEN),
        (99.9999, "99.99%", Colour.GREEN),
        (97.0, "97%", Colour.AMBER),
        (0.0, "0%", Colour.RED),
    ],
)
def test_uptime_is_rounded_down(percent: float, text: str, colour: Colour) -> None:
    svg = of_uptime("a", percent)
    assert texts(svg)[1] == text
    assert colour in svg


def test_latency_has_a_unit() -> None:
    assert [texts(of_latency("a", one))[1] for one in (0.0123, 1.5, 12.34)] == ["12 ms", "1500 ms", "12.3 s"]
