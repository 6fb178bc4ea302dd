"""Targets as users write them: read, refused with every reason, shown without secrets, and read again."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from vigie_contracts.targets import Secrets, Target
from vigie_healthcheck.targets.form import MASK, Draft, Present, decoded, merged, read, shown
from vigie_healthcheck.targets.problems import InvalidTargetError

SEED = {"name": "custom-service", "url": "http://custom-service:8080/health", "interval": 30000, "timeout": 5000}


def problems(sent: dict[str, Any], before: Present | None = None) -> dict[str, str]:
    with pytest.raises(InvalidTargetError) as refused:
        read(sent, "acme", before)
    return {one.field: one.reason for one in refused.value.problems}


def present(draft: Draft) -> Present:
    return Present(replace(draft.target, id="t1"), draft.secrets)


def heartbeat(**more: Any) -> dict[str, Any]:
    return {"name": "backup", "kind": "heartbeat", "interval": "24h", "timeout": "1h", **more}


def test_the_form_of_the_replaced_metrics_service_works_as_printed() -> None:
    draft = read({**SEED, "retries": 3}, "acme")
    target = draft.target
    assert (target.name, target.kind, target.url) == ("custom-service", "http", "http://custom-service:8080/health")
    assert (target.interval_ms, target.timeout_ms, target.retries) == (30_000, 5_000, 3)
    assert not draft.warnings


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://a.example", "http"), ("tcp://db:5432", "tcp"), ("tls://a:443", "tls"), ("icmp://10.0.0.1", "icmp"),
        ("dns://9.9.9.9/example.com", "dns"), ("grpcs://a:443", "grpc"), ("wss://a/live", "websocket"),
        ("kafka://k:9092", "kafka"), ("mongodb://m:27017", "mongodb"), ("rediss://r", "redis"), ("smtps://m", "smtp"),
    ],
)  # fmt: skip
def test_the_kind_is_that_of_the_url(url: str, kind: str) -> None:
    assert read({"name": "x", "url": url}, "acme").target.kind == kind


@pytest.mark.parametrize("kind", ["tls", "icmp", "tcp"])
def test_what_looks_only_at_host_and_port_takes_any_url(kind: str) -> None:
    target = read({"name": "x", "url": "https://a.example:8443/health", "kind": kind}, "acme").target
    assert (target.kind, target.url) == (kind, "https://a.example:8443/health")


def test_a_url_in_any_alphabet_is_called_in_ascii() -> None:
    target = read({"name": "é/ü 汉", "url": "https://exämple.com/hé llo".replace(" ", "%20") + "?x=ü"}, "acme").target
    assert target.url == "https://xn--exmple-cua.com/h%C3%A9%20llo?x=%C3%BC"
    assert target.name == "é/ü 汉"


def test_credentials_of_a_url_are_secrets_and_never_shown() -> None:
    draft = read({"name": "x", "url": "https://bob:p%40ss@a.example/", "headers": {"X-Key": "k"}}, "acme")
    assert draft.target.url == "https://a.example/"
    assert (draft.secrets.username, draft.secrets.password) == ("bob", "p@ss")
    text = msgspec.json.encode(shown(draft.target, draft.secrets)).decode() + repr(draft)
    assert "p@ss" not in text
    assert "bob" not in text
    assert shown(draft.target, draft.secrets)["headers"] == {"X-Key": MASK}


def test_a_refusal_never_repeats_a_password() -> None:
    found = problems({"name": "x", "url": "ftp://bob:hunter2@a.example/", "password": 5, "headers": {"X": "hunter2\n"}})
    assert "hunter2" not in str(found)
    assert found.keys() == {"url", "password", "headers.X"}


def test_every_problem_is_told_at_once() -> None:
    found = problems(
        {
            "url": "gopher://x", "interval": 1, "timeout": "soon", "retries": "3", "failureThreshold": 0,
            "labels": {"target": "x", "1": "y"}, "maxRedirects": 99, "method": "get",
            "expect": {"statuses": ["abc"], "bodyMatches": ["("], "json": [{"path": "status"}]},
            "maintenance": [{"startsAt": "today", "endsAt": 5}, {"startsAt": 5, "endsAt": 5, "timeZone": "Mars"}],
        }
    )  # fmt: skip
    assert found.keys() == {
        "name", "url", "interval", "timeout", "retries", "failureThreshold", "labels.target", "labels.1",
        "maxRedirects", "method", "expect.statuses[0]", "expect.bodyMatches[0]", "expect.json[0].path",
        "maintenance[0].startsAt",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"name": ".."}, "name"),
        ({"name": "export"}, "name"),
        ({"interval": 999}, "interval"),
        ({"interval": 86_400_001}, "interval"),
        ({"interval": 10**30}, "interval"),
        ({"interval": True}, "interval"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": 60_001, "interval": 90_000}, "timeout"),
        ({"timeout": 5_001, "interval": 5_000}, "timeout"),
        ({"intervalMs": 31_000}, "intervalMs"),
        ({"retries": 11}, "retries"),
        ({"retries": -1}, "retries"),
        ({"url": "shop.example.com"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://a:0/"}, "url"),
        ({"url": "https://a:99999/"}, "url"),
        ({"url": "https://[::1/"}, "url"),
        ({"url": "https://a b/"}, "url"),
        ({"url": "tcp://db"}, "url"),
        ({"url": "https://a", "kind": "redis"}, "url"),
        ({"url": "https://" + "a" * 3_000}, "url"),
        ({"kind": "telepathy"}, "kind"),
        ({"token": "x" * 20}, "token"),
        ({"expect": {"expiresWithinMs": 10**18}}, "expect.expiresWithinMs"),
        ({"expect": {"slowMs": "1"}}, "expect.slowMs"),
        ({"headers": {"A": "1", "a": "2"}}, "headers"),
        ({"headers": {"A": "é"}}, "headers.A"),
        ({"body": "x" * 70_000}, "body"),
        ({"options": {str(i): "" for i in range(21)}}, "options"),
        ({"username": "eve", "url": "https://bob@a/"}, "username"),
    ],
)
def test_what_is_out_of_bounds_is_refused_with_its_field(more: dict[str, Any], field: str) -> None:
    assert field in problems({**SEED, **more})


def test_a_short_interval_needs_no_timeout() -> None:
    assert read({"name": "x", "url": "https://a", "interval": "2s"}, "acme").target.timeout_ms == 2_000


def test_fields_without_meaning_are_ignored_with_a_warning() -> None:
    draft = read({**SEED, "intervall": 5, "expect": {"status": 200}, "id": "mine", "version": 7}, "acme")
    assert [one.field for one in draft.warnings] == ["intervall", "expect.status"]
    assert (draft.target.id, draft.target.version) == ("", 1)
    (warning,) = read({**SEED, "options": {"serverName": "a", "sni": "b"}}, "acme").warnings
    assert str(warning) == "options.sni: means nothing: a target of kind http knows serverName"
    (warning,) = read({"name": "x", "url": "https://a/?api_token=s3cret"}, "acme").warnings
    assert "a header is kept secret" in warning.reason
    assert "s3cret" not in warning.reason


def test_a_heartbeat_is_not_asked_but_heard_of() -> None:
    target = read(heartbeat(interval="31d"), "acme").target
    assert (target.url, target.interval_ms, target.timeout_ms) == ("", 31 * 86_400_000, 3_600_000)
    assert problems(heartbeat(url="https://a")).keys() == {"url"}
    assert problems(heartbeat(token="short")).keys() == {"token"}
    assert read(heartbeat(token="a" * 16), "acme").token == "a" * 16
    assert problems({**SEED}, present(read(heartbeat(), "acme"))).keys() == {"kind"}
    assert problems(heartbeat(), present(read(SEED, "acme"))).keys() == {"kind"}


def test_a_secret_that_comes_back_masked_stays_but_not_for_another_host() -> None:
    sent = {**SEED, "password": "hunter2", "username": "bob", "headers": {"A": "1", "B": "2"}, "body": "ping"}
    before = present(read(sent, "acme"))
    again = shown(before.target, before.secrets)
    assert read(again, "acme", before).secrets == before.secrets
    assert read({**again, "url": "http://custom-service:8080/other"}, "acme", before).secrets == before.secrets
    changed = read({**again, "password": "new", "headers": {"A": MASK}, "body": ""}, "acme", before).secrets
    assert changed == Secrets(headers={"A": "1"}, username="bob", password="new")
    found = problems({**again, "url": "http://evil.example/"}, before)
    assert found.keys() == {"password", "username", "body", "headers.A", "headers.B"}
    assert all("another address" in reason for reason in found.values())


def test_a_mask_without_a_secret_behind_it_is_refused() -> None:
    assert problems({**SEED, "password": MASK}).keys() == {"password"}
    unreadable = Present(replace(read(SEED, "acme").target, id="t1", sealed="gAAAA"), None)
    assert "a key that is not here" in problems(shown(unreadable.target), unreadable)["password"]


def test_a_patch_changes_what_it_says_and_null_means_the_default() -> None:
    before = present(read({**SEED, "retries": 3, "headers": {"A": "1", "B": "2"}, "group": "g"}, "acme"))
    draft = read(merged(before, {"intervalMs": 60_000, "retries": None, "headers": {"A": None}}), "acme", before)
    assert (draft.target.interval_ms, draft.target.retries, draft.target.group) == (60_000, 0, "g")
    assert draft.secrets.headers == {"B": "2"}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"a": NaN}', b"[" * 100_000])
def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    with pytest.raises(InvalidTargetError) as refused:
        decoded(body)
    assert refused.value.malformed


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
MARK = "s3cret"
SECRET = PRINTABLE.map(lambda text: MARK + text)
FORMS = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"\A[a-zé][\w/ ]{0,20}[a-z]\Z"),
        "url": st.sampled_from(["https://a.example/x", "tcp://db:1", "redis://bob:s3cret@r", "icmp://[::1]"]),
    },
    optional={
        "interval": st.integers(5_000, 86_400_000),
        "retries": st.integers(0, 10),
        "failureThreshold": st.integers(1, 100),
        "headers": st.dictionaries(st.from_regex(r"\A[a-z]{1,8}\Z"), SECRET, max_size=3),
        "password": SECRET,
        "body": TEXT.map(lambda text: MARK + text),
        "labels": st.dictionaries(st.from_regex(r"\Al[a-z]{1,8}\Z"), PRINTABLE, max_size=3),
        "options": st.dictionaries(st.from_regex(r"\A[a-z]{1,8}\Z"), TEXT, max_size=3),
        "description": TEXT,
        "verify": st.booleans(),
        "expect": st.fixed_dictionaries({}, optional={"statuses": st.just(["2xx"]), "slowMs": st.integers(0, 9_999)}),
        "maintenance": st.lists(
            st.fixed_dictionaries({"startsAt": st.integers(0, 1_000), "endsAt": st.integers(1_001, 2_000)}), max_size=2
        ),
    },
)


@given(FORMS)
def test_what_is_shown_is_read_as_the_same_and_has_no_secret(sent: dict[str, Any]) -> None:
    if "redis" in sent["url"]:
        sent = {name: value for name, value in sent.items() if name != "password"}
    before = present(read(sent, "acme"))
    again = shown(before.target, before.secrets)
    assert MARK not in msgspec.json.encode(again).decode()
    assert set(again["headers"].values()) <= {MASK}
    draft = read(again, "acme", before)
    assert (draft.target, draft.secrets) == (before.target, before.secrets)
    assert all(one.top == "options" for one in draft.warnings)
    assert isinstance(msgspec.json.decode(msgspec.json.encode(draft.target), type=Target), Target)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMED = st.sampled_from([*shown(Target(id="", tenant="", name="", kind="")), "token", "intervalMs", "timeoutMs"])
INSIDE = st.fixed_dictionaries(
    {},
    optional={
        "expect": st.dictionaries(st.sampled_from(["statuses", "json", "bodyMatches", "maxBytes", "slowMs"]), JSON),
        "maintenance": st.lists(
            st.dictionaries(st.sampled_from(["startsAt", "endsAt", "daily", "weekly", "timeZone"]), JSON), max_size=2
        ),
        "url": st.builds("{}://{}".format, st.sampled_from(["https", "tcp", "dns", "x"]), st.text(max_size=20)),
    },
)


@given(st.dictionaries(NAMED, JSON, max_size=8), INSIDE)
def test_whatever_is_sent_is_read_or_refused(sent: dict[str, Any], more: dict[str, Any]) -> None:
    with suppress(InvalidTargetError):
        read({**sent, **more}, "acme")
