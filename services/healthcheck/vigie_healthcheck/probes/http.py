"""`http://` and `https://`: up when the last answer has a status that is asked for.

Every redirect is a new connection whose address is judged again. Headers of the target (they may be secrets) and its
credentials stay with the origin that they were written for.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Final
from urllib.parse import SplitResult, unquote, urljoin

import h11
from vigie_contracts.checks import Verdict

from vigie_healthcheck.probes.base import MAX_BODY_BYTES, Facts, Failed, Phases, Question, Way, split
from vigie_healthcheck.probes.wire import Wire, connected

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SAME_METHOD: Final = frozenset({307, 308})
_READ_BYTES: Final = 64 * 1024


async def http(question: Question, way: Way, phases: Phases) -> Facts:
    redirects = 0
    while True:
        response, facts = await _once(question, way, phases)
        location = next((value for name, value in response.headers if name == b"location"), b"")
        if _wanted(response.status_code, question) or response.status_code not in _REDIRECTS or not location:
            break
        redirects += 1
        if redirects > question.max_redirects:
            raise Failed(f"redirected more than {question.max_redirects} times", facts=facts)
        question = _redirected(question, location.decode("latin-1"), response.status_code)
    facts = {**facts, "probe_http_redirects": float(redirects)}
    if not _wanted(response.status_code, question):
        raise Failed(f"it answered with status {response.status_code}", facts=facts)
    return facts


def _wanted(status: int, question: Question) -> bool:
    """`200`, `2xx` and `200-204` as the target has them."""
    for one in question.expect.statuses or ["2xx"]:
        first, _, last = one.lower().replace("xx", "00").partition("-")
        least = int(first)
        most = int(last) if last else least + 99 if one.lower().endswith("xx") else least
        if least <= status <= most:
            return True
    return False


async def _once(question: Question, way: Way, phases: Phases) -> tuple[h11.Response, Facts]:
    parts = question.parts()
    if parts.scheme not in ("http", "https"):
        raise Failed("the address is no http:// or https:// one", Verdict.UNKNOWN)
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_READ_BYTES)
    sent = _sent(connection, question, parts)
    async with connected(parts.hostname or "", port, way, phases, tls=tls) as wire:
        try:
            with phases.measure("processing"):
                wire.writer.write(sent)
                event = await _next(connection, wire)
                while isinstance(event, h11.InformationalResponse):
                    event = await _next(connection, wire)
            if not isinstance(event, h11.Response):
                raise Failed("the connection was closed without an answer")
            with phases.measure("transfer"):
                size = await _size(connection, wire)
        except h11.RemoteProtocolError:
            raise Failed("the answer is not HTTP, or ended too early") from None
        facts = {"probe_http_status_code": float(event.status_code), "probe_http_content_length": float(size)}
        expiry = wire.expiry()
        return event, facts if expiry is None else {**facts, "probe_ssl_earliest_cert_expiry": expiry}


def _sent(connection: h11.Connection, question: Question, parts: SplitResult) -> bytes:
    headers = {"host": parts.netloc.rpartition("@")[2], "user-agent": "Vigie", "accept": "*/*", "connection": "close"}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    if question.body:
        headers["content-length"] = str(len(question.body))
    headers |= {name.lower(): value for name, value in question.headers.items()}
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        request = h11.Request(method=question.method, target=target, headers=list(headers.items()))
        events = [request, *([h11.Data(data=question.body)] if question.body else []), h11.EndOfMessage()]
        return b"".join(connection.send(event) or b"" for event in events)
    except (h11.LocalProtocolError, UnicodeError):
        raise Failed("a header or the method of the target cannot be sent", Verdict.UNKNOWN) from None


async def _next(connection: h11.Connection, wire: Wire) -> h11.Event | type[h11.PAUSED]:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await wire.reader.read(_READ_BYTES))
    return event  # pyright: ignore[reportReturnType] - NEED_DATA is excluded


async def _size(connection: h11.Connection, wire: Wire) -> int:
    size = 0
    while isinstance(event := await _next(connection, wire), h11.Data):
        size += len(event.data)
        if size > MAX_BODY_BYTES:
            raise Failed(f"the answer is larger than {MAX_BODY_BYTES // 1024} KiB")
    return size


def _redirected(question: Question, location: str, status: int) -> Question:
    try:
        url = urljoin(question.url, location)
        before, after = question.parts(), split(url)
    except (Failed, ValueError):
        raise Failed("redirected to what is no web address") from None
    if after.scheme not in ("http", "https") or (before.scheme == "https" and after.scheme == "http"):
        raise Failed("redirected to a connection that is not encrypted, or to no web address")
    if status not in _SAME_METHOD and question.method != "HEAD":
        question = replace(question, method="GET", body=b"")
    same = (before.scheme, before.hostname, before.port) == (after.scheme, after.hostname, after.port)
    if same and before.username is not None:  # a relative redirect keeps whom it was asked as
        login, bare = before.netloc.rpartition("@")[0], after.netloc.rpartition("@")[2]
        return replace(question, url=after._replace(netloc=f"{login}@{bare}").geturl())
    return replace(question, url=url, headers=question.headers if same else {})
