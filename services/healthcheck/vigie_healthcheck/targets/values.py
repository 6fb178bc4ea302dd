"""The fields of a target as they are written in JSON and YAML: read one by one, so that every mistake is told."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from vigie_contracts.problems import shortened
from vigie_contracts.targets import Expectations, Maintenance, Secrets, Target
from vigie_query.errors import InvalidParameter
from vigie_query.times import parse_duration, rfc3339_ms

from vigie_healthcheck.targets.problems import TargetProblem

DURATIONS: Final = {
    "interval": "intervalMs",
    "timeout": "timeoutMs",
}
"""The replaced metrics service's names: milliseconds, or a text such as `30s`."""
_OURS: Final = frozenset(
    {"id", "tenant", "version", "createdAt", "createdBy", "updatedAt", "updatedBy", "managedBy", "sealed"}
)
"""Set by Vigie: in a target that is sent back as it was answered they mean nothing."""
_ANSWERED: Final = frozenset({"published", "warnings", "state"})
"""Beside the target in answers about it."""
_FIELDS: Final = {one.encode_name: one for one in msgspec.structs.fields(Target)}
_SECRET: Final = {one.encode_name: one for one in msgspec.structs.fields(Secrets)}
_INSIDE: Final[Mapping[str, frozenset[str]]] = {
    "expect": frozenset(Expectations.__struct_encode_fields__),
    "maintenance": frozenset(Maintenance.__struct_encode_fields__),
}
_MAX_WARNINGS: Final = 10
_TIMES: Final = ("startsAt", "endsAt")
_WANTED: Final[dict[Any, str]] = {
    bool: "true or false",
    int: "a whole number",
    str: "a text",
    dict[str, str]: "an object of texts",
    list[str]: "a list of texts",
    Expectations: 'an object: {"statuses": ["2xx"], "bodyMatches": ["ok"]}',
    list[Maintenance]: 'a list of windows: [{"startsAt": "2026-01-31T12:00:00Z", "endsAt": "2026-01-31T14:00:00Z"}]',
}
_EXPECTED: Final = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_JSON: Final = {
    "str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list",
    "object": "an object",
}  # fmt: skip
TOKEN: Final = "token"  # noqa: S105 - the name of a field


@dataclass(frozen=True, slots=True)
class Values:
    """What was said, by attribute of Target and of Secrets. `token`: of a heartbeat."""

    target: dict[str, Any] = field(default_factory=dict[str, Any])
    secrets: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    token: str = field(default="", repr=False)
    problems: list[TargetProblem] = field(default_factory=list[TargetProblem])
    warnings: list[TargetProblem] = field(default_factory=list[TargetProblem])


def normal(name: str) -> str:
    """The name of a target in the form in which there is one of it."""
    return unicodedata.normalize("NFC", name).strip()


def read(sent: Mapping[str, Any]) -> Values:
    """Whatever can be read, and all problems and warnings."""
    made = Values(warnings=_ignored(sent))
    token = ""
    for name, value in sent.items():
        if value is None:
            continue
        if name in DURATIONS or name in DURATIONS.values():
            _duration(name, value, sent, made)
        elif name == TOKEN:
            token = _one(name, value, str, made) or ""
        elif name in _SECRET:
            if (read_ := _one(name, value, _SECRET[name].type, made, secret=True)) is not None:
                made.secrets[_SECRET[name].name] = read_
        elif name in _FIELDS and name not in _OURS:
            value_ = _moments(value, made) if name == "maintenance" else _statuses(value) if name == "expect" else value
            if (read_ := _one(name, value_, _FIELDS[name].type, made)) is not None:
                made.target[_FIELDS[name].name] = read_
    return Values(made.target, made.secrets, token, made.problems, made.warnings)


def _one(name: str, value: Any, type_: Any, made: Values, *, secret: bool = False) -> Any:
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as e:
        message, _, path = str(e).partition(" - at `$")
        where = name + path.removesuffix("`").replace("[...]", "")
        if where == name:
            but = "" if secret else f", but is {_quoted(value)}"
            made.problems.append(TargetProblem(where, f"must be {_WANTED.get(type_, 'another value')}{but}"))
        else:
            made.problems.append(TargetProblem(where, _sentence(message)))
        return None


def _sentence(message: str) -> str:
    """msgspec's, in the words of JSON."""
    if found := _EXPECTED.match(message):
        wanted, got = (" or ".join(_JSON.get(one, one) for one in part.split(" | ")) for part in found.groups())
        return f"must be {wanted}, but is {got}"
    return message[:1].lower() + message[1:]


def _duration(name: str, value: Any, sent: Mapping[str, Any], made: Values) -> None:
    length = _milliseconds(name, value, made)
    if length is None:
        return
    long = DURATIONS.get(name, name)
    attribute = _FIELDS[long].name
    if made.target.setdefault(attribute, length) != length:
        made.problems.append(TargetProblem(name, f"is not the same as {_other(name)}: send one of them"))


def _other(name: str) -> str:
    return DURATIONS.get(name) or next(short for short, long in DURATIONS.items() if long == name)


def _milliseconds(name: str, value: Any, made: Values) -> int | None:
    if isinstance(value, str) and not value.isdecimal():
        try:
            return parse_duration(value, name)
        except InvalidParameter as e:
            made.problems.append(TargetProblem(name, str(e).removeprefix(f"{name}: ")))
            return None
    try:
        return msgspec.convert(value, int, strict=False)
    except msgspec.ValidationError:
        how = f'must be whole milliseconds, or a text such as "30s", but is {_quoted(value)}'
        made.problems.append(TargetProblem(name, how))
        return None


def _statuses(expect: Any) -> Any:
    """Statuses that are written as numbers are texts."""
    given = expect.get("statuses") if isinstance(expect, dict) else None
    if not isinstance(given, list):
        return expect
    return {**expect, "statuses": [str(one) if type(one) is int else one for one in given]}


def _moments(windows: Any, made: Values) -> Any:
    """Times as people write them become milliseconds."""
    if not isinstance(windows, list):
        return windows
    return [_moment(at, one, made) if isinstance(one, dict) else one for at, one in enumerate(windows)]


def _moment(at: int, window: dict[str, Any], made: Values) -> dict[str, Any]:
    read_ = dict(window)
    for name in _TIMES:
        value = window.get(name)
        if isinstance(value, str):
            moment = rfc3339_ms(value)
            if moment is None:
                how = f"must be a time such as 2026-01-31T12:00:00Z, or milliseconds, but is {_quoted(value)}"
                made.problems.append(TargetProblem(f"maintenance[{at}].{name}", how))
            read_[name] = moment or 0
    return read_


def _quoted(value: Any) -> str:
    if isinstance(value, str):
        return f"the text {shortened(value)!r}"
    return shortened(msgspec.json.encode(value).decode())


def _ignored(sent: Mapping[str, Any]) -> list[TargetProblem]:
    known = _FIELDS.keys() | _SECRET.keys() | DURATIONS.keys() | _ANSWERED | {TOKEN}
    unknown = [name for name in sent if name not in known]
    for name, fields in _INSIDE.items():
        inside = sent.get(name)
        for part in inside if isinstance(inside, list) else [inside]:
            unknown += [f"{name}.{one}" for one in part if one not in fields] if isinstance(part, dict) else []
    return [
        TargetProblem(shortened(name), "is not a field of a target: it was ignored") for name in unknown[:_MAX_WARNINGS]
    ]
