"""The status page as an RSS feed: an item when an incident begins, when it ends, and when maintenance is announced."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from html import escape
from typing import Final

from vigie_healthcheck.status.model import ANNOUNCED_MS, Outage, Planned, StatusPage
from vigie_healthcheck.status.rendering import length_of, moment

MAX_ITEMS: Final = 100
_NO_TAGS: Final = str.maketrans("<>", "\u2039\u203a")


@dataclass(frozen=True, slots=True)
class _Item:
    id: str
    title: str
    text: str
    at_ms: int


def rss(page: StatusPage, link: str) -> str:
    """RSS 2.0. `link` is the address of the page."""
    items = sorted(_items(page), key=lambda one: -one.at_ms)[:MAX_ITEMS]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel>'
        f"<title>{_text(page.title)}: status</title><link>{_text(link)}</link>"
        f'<atom:link href="{_text(link)}.rss" rel="self" type="application/rss+xml"/>'
        "<description>Incidents and maintenance</description><language>en</language><ttl>1</ttl>"
        f"<lastBuildDate>{_date(page.at_ms)}</lastBuildDate>"
        f"{''.join(_written(one, link) for one in items)}</channel></rss>\n"
    )


def _items(page: StatusPage) -> Iterator[_Item]:
    for outage in page.outages:
        yield from _of_outage(outage)
    for planned in (*page.current, *page.announced):
        yield _of_planned(planned)


def _of_outage(one: Outage) -> Iterator[_Item]:
    id_ = f"incident:{one.name}:{one.started_ms}"
    yield _Item(id_, f"{one.name} is down", one.reason, one.started_ms)
    if one.ended_ms is not None:
        text = f"It was down from {moment(one.started_ms)} to {moment(one.ended_ms)} UTC, {_length(one)}. {one.reason}"
        yield _Item(f"{id_}:end", f"{one.name} works again", text.strip(), one.ended_ms)


def _length(one: Outage) -> str:
    return length_of((one.ended_ms or one.started_ms) - one.started_ms)


def _of_planned(one: Planned) -> _Item:
    names = ", ".join(one.names)
    text = f"From {moment(one.starts_ms)} to {moment(one.ends_ms)} UTC. {one.reason}".strip()
    # When it came so near as to be announced: readers sort by it, so it must not move.
    return _Item(f"maintenance:{names}:{one.starts_ms}", f"Maintenance of {names}", text, one.starts_ms - ANNOUNCED_MS)


def _written(one: _Item, link: str) -> str:
    return (
        f'<item><title>{_text(one.title)}</title><link>{_text(link)}</link><guid isPermaLink="false">{_text(one.id)}'
        f"</guid><pubDate>{_date(one.at_ms)}</pubDate><description>{_html(one.text)}</description></item>"
    )


def _date(ms: int) -> str:
    return formatdate(ms / 1000, usegmt=True)


def _text(text: str) -> str:
    """As XML. Readers show titles as text or as HTML: there is nothing in them that could be a tag."""
    return escape(_clean(text).translate(_NO_TAGS))


def _html(text: str) -> str:
    """A description is HTML, written as XML."""
    return escape(escape(_clean(text), quote=False))


def _clean(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(one for one in text if unicodedata.category(one) not in ("Cc", "Cs", "Cn"))
