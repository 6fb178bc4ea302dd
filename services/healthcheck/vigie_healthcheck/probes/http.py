"""`http://` and `https://`: up when the last answer has a status that is asked for, and contains what is asked for.

Every redirect is a new connection whose address is judged again. Headers and body of the target (they may be secrets)
and its credentials stay with the origin that they were written for.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import SplitResult, quote, urljoin

import h11
from vigie_contracts.checks import Verdict

from vigie_healthcheck.probes import conditions
from vigie_healthcheck.probes.base import Facts, Failed, Phases, Question, Way, split
from vigie_healthcheck.probes.judging import judge
from vigie_healthcheck.probes.unpacking import CODINGS, Unusable, unpacked
from vigie_healthcheck.probes.wire import Wire, connected

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SAME_METHOD: Final = frozenset({307, 308})
_READ_BYTES: Final = 64 * 1024
_SAFE: Final = "".join(map(chr, range(32, 127)))
"""What is not quoted in a Location: all but what servers should have quoted themselves."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: dict[bytes, bytes]
    body: bytes
    facts: dict[str, float]


async def http(question: Question, way: Way, phases: Phases) -> Facts:
    redirects = 0
    while True:
        answer = await _once(question, way, phases)
        wanted, location = _wanted(answer, question), answer.headers.get(b"location", b"")
        if wanted or answer.status not in _REDIRECTS or not location:
            break
        redirects += 1
        if redirects > question.max_redirects:
            raise Failed(f"redirected more than {question.max_redirects} times", facts=answer.facts)
        question = _redirected(question, quote(location, safe=_SAFE), answer.status)
    facts = {**answer.facts, "probe_http_redirects": float(redirects), "probe_failed_due_to_regex": 0.0}
    if not wanted:
        raise Failed(f"it answered with status {answer.status}", facts=facts)
    if conditions.any_of_body(question.expect):
        try:
            body = await unpacked(answer.body, answer.headers.get(b"content-encoding", b""), conditions.MAX_BODY_BYTES)
        except Unusable as e:
            raise Failed(str(e), facts=facts) from None
        facts["probe_http_uncompressed_body_length"] = float(len(body))
        await judge(body, question, way, phases, {**facts, "probe_failed_due_to_regex": 1.0})
    return facts


def _wanted(answer: _Answer, question: Question) -> bool:
    try:
        return conditions.status_wanted(question.expect, answer.status)
    except ValueError:
        raise Failed("the statuses of the target cannot be read", Verdict.UNKNOWN, answer.facts) from None


async def _once(question: Question, way: Way, phases: Phases) -> _Answer:
    parts = question.parts()
    if parts.scheme not in ("http", "https"):
        raise Failed("the address is no http:// or https:// one", Verdict.UNKNOWN)
    tls = parts.scheme == "https"
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_READ_BYTES)
    sent = _sent(connection, question, parts)
    async with connected(question, 443 if tls else 80, way, phases, tls=tls) as wire:
        facts = {**wire.facts(), "probe_http_ssl": float(tls)}
        try:
            with phases.measure("processing"):
                wire.writer.write(sent)
                event = await _next(connection, wire)
                while isinstance(event, h11.InformationalResponse):
                    event = await _next(connection, wire)
            if not isinstance(event, h11.Response):
                raise Failed("the connection was closed without an answer", facts=facts)
            facts["probe_http_status_code"] = float(event.status_code)
            with phases.measure("transfer"):
                body = await _body(connection, wire, question.expect.max_bytes or conditions.MAX_BODY_BYTES, facts)
        except h11.RemoteProtocolError:
            raise Failed("the answer is not HTTP, or ended too early", facts=facts) from None
        facts["probe_http_content_length"] = float(len(body))
        return _Answer(event.status_code, dict(reversed(list(event.headers))), body, facts)


def _sent(connection: h11.Connection, question: Question, parts: SplitResult) -> bytes:
    headers = {
        "host": parts.netloc.rpartition("@")[2], "user-agent": "Vigie", "accept": "*/*",
        "accept-encoding": ", ".join(CODINGS), "connection": "close",
    }  # fmt: skip
    username, password = question.login()
    if username or password:
        headers["authorization"] = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
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


async def _body(connection: h11.Connection, wire: Wire, limit: int, facts: Facts) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while isinstance(event := await _next(connection, wire), h11.Data):
        pieces.append(bytes(event.data))
        size += len(event.data)
        if size > limit:
            raise Failed(f"the answer is larger than {limit} bytes", facts=facts)
    return b"".join(pieces)


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
    if (before.scheme, before.hostname, before.port) != (after.scheme, after.hostname, after.port):
        if question.body:
            raise Failed("redirected with its body to another origin, which is not to get it")
        return replace(question, url=url, headers={}, username="", password="", options={})
    if before.username is not None:  # a relative redirect keeps whom it was asked as
        login, bare = before.netloc.rpartition("@")[0], after.netloc.rpartition("@")[2]
        return replace(question, url=after._replace(netloc=f"{login}@{bare}").geturl())
    return replace(question, url=url)
