"""Secrets of a file of targets that stand elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from vigie_healthcheck.targets import file, form
from vigie_healthcheck.targets.file import Entry, InvalidTargetFileError
from vigie_healthcheck.targets.references import MAX_BYTES, References, unfilled

ENVIRONMENT = {"SHOP_TOKEN": "t0ken", "EMPTY": ""}


def entries(**fields: Any) -> list[Entry]:
    at = {name: line for line, name in enumerate(fields, 4)}
    return [Entry(3, at, {"name": "shop", "url": "https://shop.example.com", **fields})]


def problem(environment: dict[str, str] | None = None, **fields: Any) -> list[tuple[int, str]]:
    with pytest.raises(InvalidTargetFileError) as refused:
        References(environment or ENVIRONMENT).filled(entries(**fields))
    return [(one.line, one.message) for one in refused.value.findings]


def test_secrets_come_from_the_environment_and_from_files(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("s3 ${SHOP_TOKEN} cret\r\n")
    text = f"""\
targets:
  - name: shop
    url: https://shop.example.com
    headers: {{Authorization: "Bearer ${{SHOP_TOKEN}}", X-Price: "$${{5}} $5"}}
    username: ${{EMPTY}}bob
    password: ${{file:{password}}}
    description: not ${{SHOP_TOKEN}}
"""
    [entry] = References(ENVIRONMENT).filled(file.read(text)[0])
    draft = form.read(entry.fields, "acme")
    assert draft.secrets.headers == {"Authorization": "Bearer t0ken", "X-Price": "${5} $5"}
    assert (draft.secrets.username, draft.secrets.password) == ("bob", "s3 ${SHOP_TOKEN} cret"), "once, and no further"
    assert draft.target.description == "not ${SHOP_TOKEN}"


def test_modules_may_refer_to_secrets_too() -> None:
    text = """\
targets: [{name: a, url: shop.example.com, module: page}]
modules: {page: {prober: http, http: {bearer_token: "${SHOP_TOKEN}"}}}
"""
    [entry] = References(ENVIRONMENT).filled(file.read(text)[0])
    assert entry.fields["headers"] == {"Authorization": "Bearer t0ken"}


def test_what_is_not_there_is_told_with_its_line_and_nothing_else_is(tmp_path: Path) -> None:
    large, latin = tmp_path / "large", tmp_path / "latin"
    large.write_bytes(b"x" * (MAX_BYTES + 1))
    latin.write_bytes(b"\xff")
    assert problem(headers={"A": "${SHOP_TOKEN} ${GONE}"}, password=f"${{file:{tmp_path}/none}}") == [
        (4, "headers: the environment has no variable GONE"),
        (5, f"password: the file {tmp_path}/none cannot be read: No such file or directory"),
    ]
    for path, reason in ((large, "is longer than 65,536 bytes"), (latin, "is no text in UTF-8")):
        assert problem(body=f"${{file:{path}}}") == [(4, f"body: the file {path} {reason}")]
    [(_, wrong)] = problem(body='{"query": "${a.b}"}')
    assert wrong == (
        "body: ${a.b} is neither a variable, ${SHOP_TOKEN}, nor a file, ${file:/run/secrets/shop}; "
        "write $${ where ${ itself is meant"
    )


def test_what_everybody_sees_gets_no_secrets() -> None:
    with pytest.raises(InvalidTargetFileError, match="url: is shown: references are filled in only in body, headers"):
        References(ENVIRONMENT).filled([Entry(3, {}, {"name": "a", "url": "https://a/?key=${SHOP_TOKEN}"})])


def test_another_secret_is_noticed_also_when_it_is_gone(tmp_path: Path) -> None:
    secret, environment = tmp_path / "secret", dict(ENVIRONMENT)
    secret.write_text("one")
    known = References(environment)
    known.filled(entries(password=f"${{file:{secret}}}", headers={"A": "${SHOP_TOKEN}"}))
    assert not known.changed()
    secret.write_text("two")
    assert known.changed()
    known.filled(entries(password=f"${{file:{secret}}}"))
    assert not known.changed()
    secret.unlink()
    assert known.changed()


def test_who_sends_a_file_gets_no_secrets_of_this_process_but_a_warning() -> None:
    sent = entries(headers={"A": "${SHOP_TOKEN}"}, description="${SHOP_TOKEN}")
    [warning] = unfilled(sent)
    assert (warning.line, warning.message.startswith("headers: is taken as it stands")) == (4, True)
