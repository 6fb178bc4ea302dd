"""The public status page: what it says, that nobody's name becomes a tag, and that everybody can read it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree

import pytest
from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Maintenance
from vigie_healthcheck.readings import Days
from vigie_healthcheck.status import public
from vigie_healthcheck.status.feed import rss
from vigie_healthcheck.status.model import Shown, StatusPage, worst
from vigie_healthcheck.status.rendering import POLICY, bars_in_words, html, in_known_days, length_of, moment, percent
from vigie_query.times import DAY, HOUR, MINUTE

from services.healthcheck.tests.pages import HOSTILE, NOW, days, incident, known, made, sample

VOID = {"meta", "link", "path"}
LINK = "https://status.example.com/status/acme"


class Page(HTMLParser):
    """The tags, attributes and texts of a page; fails where tags are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.text += data

    def all(self, name: str) -> list[str]:
        return [value for one, value in self.attributes if one == name]


def hostile() -> StatusPage:
    planned = [Maintenance(starts_at=NOW, ends_at=NOW + HOUR, reason=HOSTILE[0])]
    all_ = [known(name, Verdict.DOWN, group=name, maintenance=planned) for name in HOSTILE]
    incidents = [incident(name, NOW - HOUR, NOW - MINUTE, name) for name in HOSTILE]
    return made(HOSTILE[0], all_, {name: days((1, 50.0)) for name in HOSTILE}, incidents)


def test_names_are_text_and_nothing_else() -> None:
    page = Page(html(hostile()))
    usual = Page(html(sample()))
    assert set(page.tags) == set(usual.tags)
    assert {name for name, _ in page.attributes} == {name for name, _ in usual.attributes}
    assert not {"script", "img", "iframe", "form", "base"} & set(page.tags)
    assert all(link.startswith(("acme.", "#")) for link in page.all("href"))
    for name in HOSTILE:
        assert name in page.text
    assert "49" not in page.text.replace("2049", "")


def test_the_policy_allows_the_one_style_of_the_page_and_no_script() -> None:
    text = html(hostile())
    assert POLICY.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in POLICY
    assert text.count("<style>") == 1
    assert " style=" not in text


def test_what_is_known_is_said_in_words_too() -> None:
    page = Page(html(sample()))
    assert "Some services are down" in page.text
    for word in (
        "Works",
        "Limited",
        "Down",
        "Maintenance",
        "Not known",
        "Ongoing",
        "Resolved",
        "Certificates are renewed.",
    ):
        assert word in page.text
    bars = [label for label in page.all("aria-label") if label.startswith("Uptime of ")]
    assert len(bars) == 6
    assert "days with failures: 21 Sep 97.2 %, 18 Sep 99.8 %, 11 Aug 84 %" in bars[1]
    assert bars[5] == "Uptime of Newsletter in the last 90 days: not known"
    assert "18 min" in page.text
    assert "8 Sep 2026, 14:05 to 15:45, 1 h 40 min" in re.sub(r"\s+", " ", page.text)


def test_a_reader_finds_the_language_the_headings_and_the_groups() -> None:
    page = Page(html(sample()))
    assert page.all("lang") == ["en"]
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    assert set(page.all("aria-labelledby")) <= set(ids)
    assert (page.tags.count("h1"), page.tags.count("main"), page.tags.count("header")) == (1, 1, 1)
    assert page.all("name")[:1] == ["viewport"]


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    whole = digits if len(digits) == 6 else "".join(2 * one for one in digits)
    parts = [int(whole[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_has_the_contrast_that_wcag_aa_asks_for(dark: bool) -> None:
    style = files("vigie_healthcheck.status").joinpath("page.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--(\w+): (#\w+)", style.partition("@media")[2 if dark else 0]))
    assert len(colours) == 11
    backs = [_luminance(colours[name]) for name in ("back", "card")]
    for name in ("text", "soft", "up", "degraded", "down", "maintenance", "unknown", "link"):
        for back in backs:
            light, deep = sorted((_luminance(colours[name]), back), reverse=True)
            assert (light + 0.05) / (deep + 0.05) >= 4.5, name


def test_the_worst_of_all_counts_and_maintenance_is_no_outage() -> None:
    planned = [Maintenance(starts_at=NOW - HOUR, ends_at=NOW + HOUR)]
    page = made("Acme", [known("a", Verdict.DOWN, maintenance=planned), known("b")], {}, [])
    assert [one.shown for one in page.services] == [Shown.MAINTENANCE, Shown.UP]
    assert page.shown is Shown.MAINTENANCE
    assert [one.names for one in page.current] == [("a",)]
    assert worst([]) is Shown.UNKNOWN
    assert worst([Shown.UNKNOWN, Shown.UP]) is Shown.UP
    assert worst([Shown.UP, Shown.DEGRADED, Shown.DOWN]) is Shown.DOWN


def test_incidents_of_services_that_are_not_public_are_not_told() -> None:
    page = made("Acme", [known("a")], {}, [incident("secret", NOW - HOUR), incident("a", NOW - DAY)])
    assert [one.name for one in page.outages] == ["a"]
    assert "secret" not in html(page) + rss(page, LINK)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("it answered with status 503", "it answered with status 503"),
        ("no answer within 5 s, the time ended in connecting", "no answer within 5 s, the time ended in connecting"),
        ("nothing was heard since 2026-09-21T13:05:00.000Z", "nothing was heard since 2026-09-21T13:05:00.000Z"),
        ("the connection to 10.0.0.7:5432 was refused", "the connection to … was refused"),
        ("[2001:db8::1]:443 does not answer", "… does not answer"),
        ("2001:db8::1 and fe80::1%eth0 do not answer", "… and … do not answer"),
        ("redirected to https://user:pw@db.internal/x?token=1", "redirected to …"),
        ("the certificate is for db-7.internal.example, not api.acme.eu:8443", "the certificate is for …, not …"),
        ("there is no address for booking", "there is no address for …"),
        ("mongodb-0:27017 is no primary", "… is no primary"),
        ("it answered 404 for /admin/secret.json", "it answered 404 for …"),
        ("root@db.internal may not log in", "… may not log in"),
        ("the answer does not match key=s3cret", "the answer is not what it should be"),
        ("2 of 3 regions see it down: here: the answer matches x; us-1: refused", "2 of 3 regions see it down"),
        ("the answer matches password", "the answer is not what it should be"),
        ("the answer has no $.internal.shards", "the answer is not what it should be"),
        ("$.queue.depth is not 0", "the answer is not what it should be"),
    ],
)
def test_reasons_hold_no_addresses_in_public(reason: str, told: str) -> None:
    assert public.sentence(reason, "https://booking:8443/health") == told


def test_the_feed_has_an_item_for_the_beginning_and_the_end_and_for_maintenance() -> None:
    root = ElementTree.fromstring(rss(sample(), LINK))
    titles = [one.findtext("title") for one in root.iter("item")]
    assert titles[:3] == ["Booking API is down", "Payments works again", "Payments is down"]
    assert "Maintenance of Payments, Search for hotels, flights, trains and cars" in titles
    ids = [one.findtext("guid") for one in root.iter("item")]
    assert len(ids) == len(set(ids))
    assert root.findtext("channel/link") == LINK


def test_hostile_names_are_harmless_in_the_feed_too() -> None:
    root = ElementTree.fromstring(rss(hostile(), LINK))
    for one in root.iter("item"):
        assert "<" not in (one.findtext("title") or "")
        assert not re.search(r"<\w", one.findtext("description") or "")


def test_what_is_broken_in_a_name_breaks_neither_page_nor_feed() -> None:
    page = made("a\0b\ufffe\ud800", [known("\x08\x1b")], {}, [incident("\x08\x1b", NOW - 1)])
    ElementTree.fromstring(rss(page, LINK).encode("utf-8", "replace"))
    assert html(page).encode("utf-8", "replace")


def test_numbers_as_people_read_them() -> None:
    shares = [percent(one) for one in (None, 100.0, 99.9999, 97.2, 0.0)]
    assert shares == ["not known", "100 %", "99.99 %", "97.2 %", "0 %"]
    lengths = [0, 40_000, 5 * MINUTE, HOUR + 5_000, 2 * DAY + 3 * HOUR + MINUTE, 3 * DAY]
    assert [length_of(one) for one in lengths] == ["less than a second", "40 s", "5 min", "1 h", "2 d 3 h", "3 d"]
    assert moment(NOW) == "21 Sep 2026, 14:05"
    known = [in_known_days(days(unknown=unknown)) for unknown in (0, 30, 89, 90)]
    assert known == ["100 % in 90 days", "100 % in 60 days", "100 % in 1 day", "not known"]


def test_many_bad_days_are_summed_up() -> None:
    [service] = made("Acme", [known("a")], {"a": Days(0.0, [0.0] * 90)}, []).services
    words = bars_in_words(service, NOW)
    assert words.endswith(" and 80 more")
    assert len(words) < 400


def test_a_page_of_many_services_is_made_in_time() -> None:
    services: list[Any] = [known(f"service {i}") for i in range(300)]
    text = html(made("Acme", services, {one.target.name: days() for one in services}, []))
    assert len(text) < 3_000_000
