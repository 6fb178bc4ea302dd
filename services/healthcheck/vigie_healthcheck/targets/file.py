"""`targets.yaml`: targets by name, each with the fields that the API takes, read within bounds, and written.

targets:
  - name: shop
    url: https://shop.example.com/health
    interval: 30s
  - name: shop page
    url: https://shop.example.com/
    module: http_2xx
modules:    # as a file of blackbox_exporter has them
  http_2xx:
    prober: http
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from vigie_contracts.problems import shortened
from vigie_runtime import yaml_nodes
from vigie_runtime.yaml_nodes import InvalidYamlError, Text, load

from vigie_healthcheck.targets import blackbox
from vigie_healthcheck.targets.problems import TargetProblem
from vigie_healthcheck.targets.values import DURATIONS, normal

MAX_TARGETS: Final = 10_000
_FIELDS: Final = frozenset({"targets", "modules"})
_NOT_WRITTEN: Final = frozenset(
    {"id", "version", "createdAt", "createdBy", "updatedAt", "updatedBy", "managedBy", "published"}
)
_DEFAULTS: Final[Mapping[str, Any]] = {
    "enabled": True, "retries": 0, "failureThreshold": 1, "successThreshold": 1, "method": "GET", "maxRedirects": 5,
    "verify": True, "public": False, "quorum": 0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about one line of a file of targets."""

    line: int
    """From 1."""
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


class InvalidTargetFileError(ValueError):
    """The file is refused: every error with its line."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = list(findings)
        super().__init__("; ".join(map(str, self.findings)))


@dataclass(frozen=True, slots=True)
class Entry:
    """A target of a file, as it stands there."""

    line: int
    lines: Mapping[str, int]
    """Of each field."""
    fields: Mapping[str, Any] = field(repr=False)

    def finding(self, problem: TargetProblem) -> Finding:
        """The problem where it stands."""
        return Finding(self.lines.get(problem.top, self.line), str(problem))


def read(text: str) -> tuple[list[Entry], list[Finding]]:
    """The targets in their order, each name once, and warnings. Raises InvalidTargetFileError."""
    try:
        document = load(text)
    except InvalidYamlError as e:
        raise InvalidTargetFileError([Finding(e.line, e.reason)]) from None
    if not isinstance(document, yaml_nodes.Mapping) or not isinstance(document.get("targets"), list):
        raise InvalidTargetFileError([Finding(1, "a file of targets has a list `targets`")])
    errors = [
        Finding(document.lines[name], f"{shortened(name)} is not a field of a file of targets")
        for name in document
        if name not in _FIELDS
    ]
    warnings: list[Finding] = []
    modules = document.get("modules")
    modules = modules if isinstance(modules, yaml_nodes.Mapping) else yaml_nodes.Mapping(1)
    entries: list[Entry] = []
    seen: dict[str, int] = {}
    for one in document["targets"]:
        if not isinstance(one, yaml_nodes.Mapping):
            errors.append(Finding(document.lines["targets"], "a target must be a mapping"))
            continue
        entry = Entry(one.line, dict(one.lines), plain(one))
        if "module" in one:
            entry = _of_module(entry, modules, errors, warnings)
        name = normal(str(entry.fields.get("name", "")))
        if name and name in seen:
            errors.append(Finding(one.line, f"there is a target {shortened(name)!r} already, in line {seen[name]}"))
        seen[name] = one.line
        entries.append(entry)
    if len(entries) > MAX_TARGETS:
        errors.append(
            Finding(1, f"there are {len(entries):,} targets, at most {MAX_TARGETS:,} are taken from one file")
        )
    if errors:
        raise InvalidTargetFileError(errors)
    return entries, warnings


def written(shown: Iterable[Mapping[str, Any]]) -> str:
    """A file of these targets, as `form.shown` gives them: what is as by default is left out, what is secret masked."""
    targets = [{name: value for name, value in one.items() if _is_written(name, value)} for one in shown]
    return yaml.safe_dump({"targets": targets}, sort_keys=False, allow_unicode=True, width=120)


def _is_written(name: str, value: Any) -> bool:
    if name in DURATIONS:
        return True
    return name not in _NOT_WRITTEN and value not in ("", {}, [], _DEFAULTS.get(name, ""))


def plain(value: Any) -> Any:
    """What YAML takes a node for."""
    if isinstance(value, yaml_nodes.Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, Text):
        return _scalar(value)
    return value


def _scalar(text: Text) -> Any:
    if text.tag == "null":
        return None
    if text.tag == "bool":
        return text.lower() in ("true", "yes", "on")
    try:
        if text.tag == "int":
            return int(text.replace("_", ""), 0)
        if text.tag == "float":
            return float(text.replace("_", ""))
    except ValueError:  # 08, 1:30 and the like: of no use as numbers
        return str(text)
    return str(text)


def _of_module(entry: Entry, modules: yaml_nodes.Mapping, errors: list[Finding], warnings: list[Finding]) -> Entry:
    """The target with what its module says, unless it says it itself."""
    name, line = str(entry.fields["module"]), entry.lines["module"]
    module = modules.get(name)
    if not isinstance(module, yaml_nodes.Mapping):
        errors.append(Finding(line, f"there is no module {shortened(name)!r}"))
        return entry
    made = blackbox.mapped(plain(module))
    warnings += [Finding(modules.lines[name], f"module {shortened(name)}: {reason}") for reason in made.lost]
    fields = {**made.fields, **{field: value for field, value in entry.fields.items() if field != "module"}}
    if isinstance(fields.get("url"), str):
        fields["url"] = made.url(fields["url"])
    return Entry(entry.line, entry.lines, fields)
