"""What changes when one rule file takes the place of another: which rules, and what they would have done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from vigie_contracts.alerts import Rule
from vigie_query.times import rfc3339_ms

from vigie_standalone.errors import StandaloneError

Episode = Mapping[str, Any]
"""As the preview has it."""


@dataclass(frozen=True, slots=True)
class Files:
    """The rules of two files, and which of them only one has as they are."""

    removed: list[Rule]
    added: list[Rule]
    same: int


def files(old: Path, new: Path, before: str, after: str) -> Files:
    """Raises StandaloneError where one of them is no rule file: every mistake with its line."""
    one, other = _rules(old, before), _rules(new, after)
    known, coming = set(map(_content, one)), set(map(_content, other))
    return Files(
        [rule for rule in one if _content(rule) not in coming],
        [rule for rule in other if _content(rule) not in known],
        len(known & coming),
    )


def _rules(file: Path, text: str) -> list[Rule]:
    from vigie_alerting.rules.files import InvalidRuleFileError, read

    try:
        return read(text, "default")[0]
    except InvalidRuleFileError as error:
        lines = "\n".join(f"{file}:{one.line}: {one.message}" for one in error.findings)
        raise StandaloneError(f"{file} is refused:\n{lines}") from None


def _content(rule: Rule) -> bytes:
    return msgspec.json.encode(rule)


@dataclass(slots=True)
class RuleChange:
    """One name of a rule, before and after."""

    name: str
    pages_before: int = 0
    pages_after: int = 0
    removed: list[Episode] = field(default_factory=list[Episode])
    """Episodes that fired, and would not any more."""
    added: list[Episode] = field(default_factory=list[Episode])
    same: int = 0
    unlisted: int = 0
    """Episodes that the previews counted and did not list."""
    errors: list[str] = field(default_factory=list[str])


def compare(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[RuleChange]:
    """Two previews' rules, by name. An episode is the same when the same labels fire at the same time, be it for some
    of it."""
    changes: dict[str, RuleChange] = {}
    fired: dict[str, tuple[list[Episode], list[Episode]]] = {}
    for side, rules in enumerate((before, after)):
        for rule in rules:
            change = changes.setdefault(rule["name"], RuleChange(rule["name"]))
            own = fired.setdefault(rule["name"], ([], []))
            listed = [one for one in rule["episodes"] if one["firedAt"] is not None]
            own[side].extend(listed)
            change.unlisted += rule["fired"] - len(listed)
            change.pages_before += 0 if side else rule["pages"]
            change.pages_after += rule["pages"] if side else 0
            if rule["error"]:
                change.errors.append(rule["error"])
    for name, change in changes.items():
        change.removed, change.added = _unmatched(*fired[name])
        change.same = len(fired[name][1]) - len(change.added)
    return [changes[name] for name in sorted(changes)]


def _unmatched(before: Iterable[Episode], after: Iterable[Episode]) -> tuple[list[Episode], list[Episode]]:
    left: dict[tuple[tuple[str, str], ...], list[Episode]] = {}
    for one in before:
        left.setdefault(_labels(one), []).append(one)
    added: list[Episode] = []
    for one in after:
        alike = left.get(_labels(one), [])
        found = next((other for other in alike if _overlap(one, other)), None)
        if found is None:
            added.append(one)
        else:
            alike.remove(found)
    return [one for some in left.values() for one in some], added


def _labels(one: Episode) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(one["labels"].items()))


def _overlap(one: Episode, other: Episode) -> bool:
    return _begin(one) <= _end(other) and _begin(other) <= _end(one)


def _begin(one: Episode) -> int:
    return rfc3339_ms(one["firedAt"]) or 0


def _end(one: Episode) -> int:
    return 1 << 62 if one["endedAt"] is None else rfc3339_ms(one["endedAt"]) or 0
