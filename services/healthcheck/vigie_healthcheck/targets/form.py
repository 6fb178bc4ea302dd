"""A target as users write it: the replaced metrics service's form as it is, and all that a full target has.

{"name": "shop", "url": "https://shop.example.com/health", "interval": 30000, "timeout": 5000, "retries": 3}

Times are milliseconds, or texts such as `30s`. Credentials in the URL become secrets. A field without meaning is
ignored, with a warning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import replace
from vigie_contracts.problems import shortened
from vigie_contracts.targets import DEFAULT_TIMEOUT_MS, HEARTBEAT, Secrets, Target

from vigie_healthcheck.probes.registry import OPTIONS
from vigie_healthcheck.targets import addresses, values
from vigie_healthcheck.targets.checking import KINDS, problems_of
from vigie_healthcheck.targets.problems import InvalidTargetError, TargetProblem
from vigie_healthcheck.targets.values import Values

MAX_BODY_BYTES: Final = 256 * 1024
"""Of one target as JSON."""
MASK: Final = "***"
"""What is shown of a secret. Sent back it means: as it was."""
_SHOWN_AS: Final = {long: short for short, long in values.DURATIONS.items()}
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Draft:
    """A target that somebody wants: its id is that of the one before, or empty. `target.depends_on` has names or ids,
    as they were written; `token`: of a heartbeat, if one was chosen."""

    target: Target
    secrets: Secrets = field(repr=False)
    token: str = field(default="", repr=False)
    warnings: list[TargetProblem] = field(default_factory=list[TargetProblem])


@dataclass(frozen=True, slots=True)
class Present:
    """A target as it is."""

    target: Target
    secrets: Secrets | None = field(repr=False)
    """None: they cannot be read here."""


def decoded(body: bytes) -> dict[str, Any]:
    """The JSON object that a body is. Raises InvalidTargetError."""
    try:
        sent = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise _malformed(f"is not valid JSON: {shortened(str(e))}") from None
    if not isinstance(sent, dict):
        raise _malformed("must be a JSON object")
    return sent


def read(sent: Mapping[str, Any], tenant: str, before: Present | None = None) -> Draft:
    """The target that is said, in the place of `before`: what is not said is as by default. Raises InvalidTargetError
    with all problems."""
    said = values.read(sent)
    problems = said.problems
    fields = dict(said.target)
    _named(fields, sent, problems)
    address = _address(fields, sent, said)
    kind = fields.setdefault("kind", "http")  # of one without a URL that can be read, which is a problem already
    if before is not None and kind != before.target.kind and HEARTBEAT in (kind, before.target.kind):
        problems.append(TargetProblem("kind", "cannot be changed to or from heartbeat: make another target"))
    secrets = _secrets(said, address, before, fields.get("url", ""))
    if kind != HEARTBEAT and "interval_ms" in fields:
        fields.setdefault("timeout_ms", min(DEFAULT_TIMEOUT_MS, max(fields["interval_ms"], 1)))
    target = Target(**{"id": before.target.id if before else "", "tenant": tenant, "name": "", **fields})
    told = {one.top for one in problems}
    problems += [one for one in problems_of(target, secrets) if one.top not in told]
    if said.token and (kind != HEARTBEAT or not _TOKEN.fullmatch(said.token)):
        how = "must be 16 to 64 letters, digits, _ and -, and is of use to a heartbeat only"
        problems.append(TargetProblem("token", how))
    if problems:
        raise InvalidTargetError(problems)
    return Draft(target, secrets, said.token, [*said.warnings, *_unknown_options(target)])


def _unknown_options(target: Target) -> list[TargetProblem]:
    known = OPTIONS.get(target.kind, frozenset())
    told = f"a target of kind {target.kind} knows {', '.join(sorted(known)) or 'none'}"
    return [
        TargetProblem(f"options.{shortened(one)}", f"means nothing: {told}")
        for one in target.options
        if one not in known
    ]


def versioned(target: Target, by: str, now_ms: int, before: Target | None = None) -> Target:
    """The target as the next version of `before`, or as the first one."""
    first = before or replace(target, version=0, created_at=now_ms, created_by=by)
    return replace(
        target,
        version=first.version + 1,
        created_at=first.created_at,
        created_by=first.created_by,
        updated_at=now_ms,
        updated_by=by,
    )


def shown(target: Target, secrets: Secrets | None = None, names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The target with all its fields as anybody may see it, by their names in JSON; `read` takes it like that too.
    `secrets` None: they are not known. `names`: of others by their ids, for those that it depends on."""
    # Each field, also those that are as by default.
    made = {
        _SHOWN_AS.get(name, name): msgspec.to_builtins(getattr(target, attribute))
        for attribute, name in zip(Target.__struct_fields__, Target.__struct_encode_fields__, strict=True)
        if attribute not in ("tenant", "sealed")
    }
    if names is not None:
        made["dependsOn"] = [names.get(one, one) for one in target.depends_on]
    known = secrets or Secrets(password=target.sealed)
    masked = {
        "headers": dict.fromkeys(known.headers, MASK),
        "username": MASK if known.username else "",
        "password": MASK if known.password else "",
        "body": MASK if known.body else "",
    }
    return {**made, **masked}


def merged(before: Present, sent: Mapping[str, Any]) -> dict[str, Any]:
    """What is there with the fields of a JSON merge patch: null puts a field back to what it is by default."""
    present = shown(before.target, before.secrets)
    for short, long in values.DURATIONS.items():
        if long in sent:
            present.pop(short, None)
    if sent.get("headers") is not None and isinstance(sent["headers"], dict):
        sent = {**sent, "headers": _without_nulls({**present["headers"], **sent["headers"]})}
    return _without_nulls({**present, **sent})


def _without_nulls(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _malformed(reason: str) -> InvalidTargetError:
    return InvalidTargetError([TargetProblem("body", reason)], malformed=True)


def _named(fields: dict[str, Any], sent: Mapping[str, Any], problems: list[TargetProblem]) -> None:
    if "name" in fields:
        fields["name"] = values.normal(fields["name"])
    elif sent.get("name") is None:
        problems.append(TargetProblem("name", "is missing"))


def _address(fields: dict[str, Any], sent: Mapping[str, Any], said: Values) -> addresses.Address | None:
    """What the URL says; the URL without credentials and the kind go into `fields`."""
    url, kind = fields.get("url", ""), fields.get("kind", "")
    if kind and kind not in KINDS:
        said.problems.append(TargetProblem("kind", f"must be one of {', '.join(KINDS)}"))
        return None
    if kind == HEARTBEAT:
        if url:
            said.problems.append(TargetProblem("url", "is of no use to a heartbeat: it is not asked, but heard of"))
        return None
    if not url:
        if sent.get("url") in (None, ""):
            said.problems.append(TargetProblem("url", 'is missing; of a heartbeat say "kind": "heartbeat"'))
        return None
    try:
        made = addresses.read(url, kind)
    except ValueError as e:
        said.problems.append(TargetProblem("url", str(e)))
        return None
    fields["url"], fields["kind"] = made.url, made.kind
    if made.shows:
        how = f"has a parameter {made.shows} that everybody sees who sees the target: a header is kept secret"
        said.warnings.append(TargetProblem("url", how))
    return made


def _secrets(said: Values, address: addresses.Address | None, before: Present | None, url: str) -> Secrets:
    """With the secrets of `before` wherever they came back as they were shown."""
    given = dict(said.secrets)
    if address is not None:
        for name, value in (("username", address.username), ("password", address.password)):
            if value and given.get(name, MASK) not in (MASK, value):
                said.problems.append(TargetProblem(name, "is another one than in the URL: say it once"))
            elif value:
                given[name] = value
    same = before is not None and addresses.origin(before.target.url) == addresses.origin(url)
    known = (before.secrets if before and before.secrets and same else None) or Secrets()
    masks = [name for name in ("username", "password", "body") if given.get(name) == MASK]
    masks += [f"headers.{name}" for name, value in given.get("headers", {}).items() if value == MASK]
    made = Secrets(**given)
    made.headers = {
        name: known.headers.get(name, "") if value == MASK else value for name, value in made.headers.items()
    }
    for name in masks:
        where, _, header = name.partition(".")
        kept = known.headers.get(header, "") if header else getattr(known, where)
        if not kept:
            how = f"is {MASK}, which stands for the secret as it was, but {_gone(before, same=same)}: say it"
            said.problems.append(TargetProblem(name, how))
        elif not header:
            setattr(made, where, kept)
    return made


def _gone(before: Present | None, *, same: bool) -> str:
    if before is None:
        return "there is none yet"
    if not same:
        return "the target is at another address now"
    return "there is none" if before.secrets else "that is encrypted with a key that is not here"
