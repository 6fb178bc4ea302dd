"""A file of Alertmanager while it is read: its parts, each with its line, and what is found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from vigie_contracts.problems import shortened
from vigie_runtime.yaml_nodes import Mapping, Text

from vigie_alerting.rules.files import Finding

_TRUE: Final = frozenset({"true", "yes", "on"})


@dataclass(slots=True)
class Document:
    """What was found so far. A message never repeats a value that may be secret."""

    findings: list[Finding] = field(default_factory=list[Finding])
    lines: dict[str, int] = field(default_factory=dict[str, int])
    """Where a part of the tree, by its field, stood."""

    def error(self, line: int, message: str) -> None:
        """Alertmanager would not take the file either."""
        self.findings.append(Finding(line, message))

    def lost(self, line: int, message: str) -> None:
        """It means something there, and is not taken here."""
        self.findings.append(Finding(line, message, error=False))

    def line(self, place: str) -> int:
        """Where the part of the tree stood that this field is of."""
        while place not in self.lines and place:
            place = place[: max(place.rfind("."), place.rfind("["), 0)]
        return self.lines.get(place, 1)

    def mapping(self, value: Any, line: int, what: str) -> Mapping:
        """The value; an empty one, and an error, when it is no mapping."""
        if isinstance(value, Mapping):
            return value
        if not (isinstance(value, Text) and value.tag == "null"):
            self.error(line, f"{what} must be a mapping")
        return Mapping(line)

    def mappings(self, of: Mapping, name: str) -> list[Mapping]:
        """The mappings of a list."""
        line = of.lines.get(name, of.line)
        return [self.mapping(one, line, f"each of {name}") for one in self.items(of, name)]

    def items(self, of: Mapping, name: str) -> list[Any]:
        """A list; empty when it is not there."""
        value = of.get(name)
        if isinstance(value, list):
            return cast("list[Any]", value)
        if value is not None and not (isinstance(value, Text) and value.tag == "null"):
            self.error(of.lines[name], f"{name} must be a list")
        return []

    def texts(self, of: Mapping, name: str) -> list[str]:
        """A list of scalars."""
        found = self.items(of, name)
        if not all(isinstance(one, Text) for one in found):
            self.error(of.lines[name], f"{name} must be a list of texts")
        return [str(one) for one in found if isinstance(one, Text)]

    def pairs(self, of: Mapping, name: str) -> dict[str, str]:
        """A mapping of scalars."""
        if name not in of:
            return {}
        found = self.mapping(of[name], of.lines[name], name)
        if not all(isinstance(one, Text) for one in found.values()):
            self.error(of.lines[name], f"{name} must be a mapping of texts")
        return {key: str(one) for key, one in found.items() if isinstance(one, Text)}

    def text(self, of: Mapping, name: str) -> str:
        """A scalar; empty when it is not there."""
        value = of.get(name)
        if value is None:
            return ""
        if not isinstance(value, Text):
            self.error(of.lines[name], f"{name} must be a text")
            return ""
        return "" if value.tag == "null" else str(value)

    def flag(self, of: Mapping, name: str, default: bool = False) -> bool:
        """A boolean."""
        text = self.text(of, name)
        return text.lower() in _TRUE if text else default

    def unknown(self, of: Mapping, known: Iterable[str], what: str) -> None:
        """An error for each field that Alertmanager does not have."""
        for name in of.keys() - set(known):
            self.error(of.lines[name], f"{shortened(name)} is not a field of {what}")

    def left(self, of: Mapping, names: Iterable[str], why: str) -> None:
        """What is not taken of these fields, where they are said."""
        for name in names:
            if name in of:
                self.lost(of.lines[name], f"{name}: {why}")


def plain(value: Any) -> Any:
    """Without the lines."""
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in cast("list[Any]", value)]
    return str(value)
