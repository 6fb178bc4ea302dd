"""Files of targets: read with the line of every mistake, written, and modules of blackbox_exporter."""

from __future__ import annotations

from typing import Any

import pytest
from vigie_healthcheck.targets import blackbox, file, form
from vigie_healthcheck.targets.file import InvalidTargetFileError

FILE = """\
targets:
  - name: shop
    url: https://shop.example.com/health
    interval: 30s
    headers: {X-Key: k}
    expect:
      statuses: [200, 2xx]
      slowMs: 500
  - name: db
    url: tcp://db:5432
    enabled: no
"""
MODULES = """\
modules:
  page:
    prober: http
    timeout: 3s
    http:
      method: POST
      headers: {Host: shop, X: 1}
      body: '{"a": 1}'
      valid_status_codes: [200, 301]
      fail_if_body_matches_regexp: [error]
      fail_if_body_not_matches_regexp: [ok]
      basic_auth: {username: bob, password: hunter2}
      tls_config: {insecure_skip_verify: true}
      follow_redirects: false
      preferred_ip_protocol: ip4
      fail_if_not_ssl: true
      proxy_url: http://proxy
"""


def lines(text: str) -> list[tuple[int, str]]:
    with pytest.raises(InvalidTargetFileError) as refused:
        file.read(text)
    return [(one.line, one.message) for one in refused.value.findings]


def test_a_file_has_the_fields_of_the_api_and_problems_have_lines() -> None:
    entries, warnings = file.read(FILE)
    assert not warnings
    assert [one.line for one in entries] == [2, 9]
    assert entries[1].fields == {"name": "db", "url": "tcp://db:5432", "enabled": False}
    shop = form.read(entries[0].fields, "acme")
    assert (shop.target.interval_ms, shop.target.expect.statuses) == (30_000, ["200", "2xx"])
    assert shop.secrets.headers == {"X-Key": "k"}
    with pytest.raises(form.InvalidTargetError) as refused:
        form.read({**entries[0].fields, "expect": {"slowMs": "soon"}}, "acme")
    assert [str(entries[0].finding(one)) for one in refused.value.problems] == [
        "line 6: expect.slowMs: must be a number, but is a text"
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [(1, "a file of targets has a list `targets`")]),
        ("targets: x", [(1, "a file of targets has a list `targets`")]),
        ("targets: []\nextra: 1", [(2, "extra is not a field of a file of targets")]),
        ("targets:\n- 5", [(1, "a target must be a mapping")]),
        ("targets:\n- {name: a}\n- {name: 'a '}", [(3, "there is a target 'a' already, in line 2")]),
        ("targets:\n- {name: a, module: gone}", [(2, "there is no module 'gone'")]),
        ("targets: [", [(1, "is no YAML: expected the node content, but found '<stream end>'")]),
        ("targets:\n- {a: 1, a: 2}", [(2, "a is there twice")]),
    ],
)
def test_mistakes_are_told_with_their_lines(text: str, found: list[tuple[int, str]]) -> None:
    assert lines(text) == found


def test_aliases_do_not_make_a_small_file_endless() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )
    assert "too many parts" in lines(f"{bomb}targets: [*u]")[0][1]


def test_what_is_exported_is_read_as_the_same_without_secrets() -> None:
    sent: dict[str, Any] = {
        "name": "é: 'x'", "url": "https://bob:hunter2@a/", "interval": 60_000, "labels": {"site": "1"},
        "expect": {"statuses": ["200"], "json": [{"path": "$.ok", "equals": True}]}, "description": "yes",
        "maintenance": [{"startsAt": "2026-01-31T12:00:00Z", "endsAt": "2026-01-31T13:00:00Z", "weekly": True}],
    }  # fmt: skip
    draft = form.read(sent, "acme")
    text = file.written([form.shown(draft.target, draft.secrets)])
    assert "hunter2" not in text
    (entry,), _ = file.read(text)
    before = form.Present(draft.target, draft.secrets)
    again = form.read(entry.fields, "acme", before)
    assert (again.target, again.secrets, again.warnings) == (draft.target, draft.secrets, [])


def test_a_module_of_blackbox_exporter_says_what_its_targets_do_not() -> None:
    text = "targets:\n- {name: a, url: shop.example.com, module: page, timeout: 1s}\n" + MODULES
    (entry,), warnings = file.read(text)
    draft = form.read(entry.fields, "acme")
    target, secrets = draft.target, draft.secrets
    assert (target.kind, target.url, target.method) == ("http", "http://shop.example.com", "POST")
    assert (target.timeout_ms, target.max_redirects, target.verify) == (1_000, 0, False)
    assert (target.expect.statuses, target.expect.body_matches) == (["200", "301"], ["ok"])
    assert target.expect.body_not_matches == ["error"]
    assert (secrets.username, secrets.password, secrets.body) == ("bob", "hunter2", '{"a": 1}')
    assert secrets.headers == {"Host": "shop", "X": "1"}
    assert [one.message for one in warnings] == [
        "module page: http.fail_if_not_ssl has no place in a target",
        "module page: http.proxy_url has no place in a target",
    ]


@pytest.mark.parametrize(
    ("module", "address", "url", "kind"),
    [
        ({"prober": "tcp"}, "db:5432", "tcp://db:5432", "tcp"),
        ({"prober": "tcp", "tcp": {"tls": True}}, "a:443", "tls://a:443", "tls"),
        ({"prober": "icmp"}, "10.0.0.1", "icmp://10.0.0.1", "icmp"),
        ({"prober": "dns", "dns": {"query_name": "a.example"}}, "9.9.9.9:53", "dns://9.9.9.9:53/a.example", "dns"),
        ({"prober": "grpc", "grpc": {"tls": True, "service": "s"}}, "a:1", "grpcs://a:1", "grpc"),
    ],
)
def test_addresses_without_a_scheme_get_that_of_the_prober(
    module: dict[str, Any], address: str, url: str, kind: str
) -> None:
    made = blackbox.mapped(module)
    assert not made.lost
    target = form.read({**made.fields, "name": "x", "url": made.url(address)}, "acme").target
    assert (target.url, target.kind) == (url, kind)


def test_what_does_not_map_is_told_and_never_taken_for_something_else() -> None:
    module = {
        "prober": "tcp", "tcp": {"query_response": [{"expect": "^220"}, {"send": "EHLO"}], "starttls": True},
        "labels": {},
    }  # fmt: skip
    assert blackbox.mapped(module).lost == [
        "labels has no place in a target",
        "tcp.query_response has no place in a target",
        "tcp.starttls has no place in a target",
    ]
    file_ = {"prober": "http", "http": {"basic_auth": {"username": "a", "password_file": "/etc/passwd"}}}
    assert blackbox.mapped(file_).lost == ["http.basic_auth has no place in a target"]
    assert blackbox.mapped({"prober": "unix"}).lost == ["prober must be one of dns, grpc, http, icmp, tcp"]
