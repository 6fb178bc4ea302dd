"""Writes docs/settings.md, every setting of every service: `python -m tools.settings` (`--check` only compares).

Why generated: a table by hand is wrong after the next setting. Name, default, bounds and meaning stand in the settings
class, where the service reads them.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vigie_agent import settings as agent
from vigie_runtime.settings import Settings, is_secret, variable_name

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "settings.md"

HEAD = """\
# Settings

Written by `make docs` from the settings classes of the services: change those, not this page.

A service reads its settings from the environment, once, when it starts; `vigie up` hands its own environment on to the
services it starts. A value that is missing or not usable stops the start with a sentence that names the variable. A
setting marked *secret* is in no log, and may be given as a file: `<VARIABLE>_FILE` names it.
"""

ELSEWHERE = """\
## Elsewhere

Variables that no service reads as a setting.

| variable | read by | meaning |
| --- | --- | --- |
| `VIGIE_HOME` | `vigie` | the directory of data, logs and the run file; `.vigie` unless set |
| `VIGIE_CACHE` | `vigie up` | where fetched programs are kept; `vigie` in the user's cache directory unless set |
| `VIGIE_TOKEN` | `vigie demo`, `vigie import`, what sends in `vigie up` | the credential that they send |
| `VIGIE_URL`, `VIGIE_API_KEY` | the [Python client](how-to/send-from-python.md) | the front door's address; its key |
| `STATE_DIRECTORY`, `CREDENTIALS_DIRECTORY` | the agent | set by systemd: where its state is, and where its key |
| `VIGIE_SECRETS` | `docker-compose.yml` | the directory of the [secrets](security.md#the-compose-stack) |
| `VIGIE_TEST_DOCKER` | the tests | `1`: servers in containers ([development](development.md#testing)) |
| `VIGIE_TEST_DOCKERD` | the tests | `1`: they start a Docker daemon ([development](development.md#the-compose-stack)) |
| `VIGIE_FAILPOINT` | alerting, in tests | where it kills itself ([development](development.md#testing)) |
| `OTEL_EXPORTER_OTLP_ENDPOINT`, other `OTEL_*` | every service | where [traces](development.md#traces-and-logs) go |
"""

AGENT_HEAD = """\
## The agent

The [agent](how-to/install-the-agent.md) of a machine reads these, and takes each as an option too (`--spool-bytes`).
Its key comes from `VIGIE_API_KEY`, from the file that `VIGIE_API_KEY_FILE` names, or from systemd's credential
`vigie-agent-key`.

| variable | default | values | meaning |
| --- | --- | --- | --- |"""

UNITS = {"_ms": "milliseconds", "_s": "seconds", "_days": "days", "_bytes": "bytes", "_minute": "a minute"}
"""Unit by the end of a field's name; `_per_s` and `_per_minute` are rates."""


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: variable, default, what values it takes, meaning, and the services that read it."""

    variable: str
    default: str
    values: str
    meaning: str
    services: tuple[str, ...]


def services() -> dict[str, type[Settings]]:
    """The settings class of every service: the only one that its module `settings` defines."""
    found: dict[str, type[Settings]] = {}
    for path in sorted(ROOT.glob("services/*/vigie_*/settings.py")):
        if path.parts[-3] == "agent":  # a client on machines that are not ours: see `agent_rows`
            continue
        module = importlib.import_module(f"{path.parent.name}.settings")
        [found[path.parts[-3]]] = [
            value
            for _, value in inspect.getmembers(module, inspect.isclass)
            if issubclass(value, Settings) and value.__module__ == module.__name__
        ]
    return found


def rows(classes: Mapping[str, type[Settings]]) -> list[Row]:
    """Every setting once, those of all services first, each group in the order of its class."""
    readers: dict[tuple[str, str], list[str]] = {}
    found: dict[tuple[str, str], tuple[str, str, str]] = {}
    for service, cls in classes.items():
        schema = cls.model_json_schema(by_alias=False)["properties"]
        for name, field in cls.model_fields.items():
            key = (variable_name(name, field), field.description or "")
            secret = ", secret" if is_secret(field) else ""
            found[key] = (_default(schema[name], required=field.is_required()), _values(name, schema[name]), secret)
            readers.setdefault(key, []).append(service)
    made = [
        Row(key[0], default, values + secret, key[1], tuple(readers[key]))
        for key, (default, values, secret) in found.items()
    ]
    return sorted(made, key=lambda row: (-len(row.services), row.services))


def agent_rows() -> list[str]:
    """Lines of the table of the agent."""
    described = agent.schema()
    found: list[str] = []
    for name, variable in agent.VARIABLES.items():
        said = described[name]
        default = "see its meaning" if "default" not in said else _default(said, required=False)
        values = f"{_unit(name)}{_bounds(said)}" if said["type"] == "integer" else "text"
        found.append(f"| `{variable}` | {default} | {values} | {said['description']} |")
    return found


def _default(schema: Mapping[str, Any], *, required: bool) -> str:
    if required:
        return "must be set"
    value = schema.get("default")
    if value is None or value == "":
        return "unset" if value is None else "empty"
    return f"`{json.dumps(value)}`" if isinstance(value, bool) else f"`{value}`"


def _values(name: str, schema: Mapping[str, Any]) -> str:
    kind = next(kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null")
    if words := kind.get("enum"):
        return " ".join(f"`{word}`" for word in words)
    if kind["type"] == "boolean":
        return "`true` `false`"
    if kind["type"] == "string":
        return "text"
    return f"{_unit(name)}{_bounds(kind)}"


def _unit(name: str) -> str:
    if "_per_" in name:
        return "a second" if name.endswith("_s") else "a minute"
    return next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "number")


def _bounds(kind: Mapping[str, Any]) -> str:
    low, above, high = kind.get("minimum"), kind.get("exclusiveMinimum"), kind.get("maximum")
    if high is not None:
        return f", {low:,} to {high:,}" if low is not None else f", above {above:,}, at most {high:,}"
    return f", {low:,} or more" if low is not None else f", above {above:,}" if above is not None else ""


def page(classes: Mapping[str, type[Settings]]) -> str:
    """The whole document."""
    return "\n".join([HEAD, *_tables(rows(classes), len(classes)), AGENT_HEAD, *agent_rows(), "", ELSEWHERE])


def _tables(found: Sequence[Row], count: int) -> Iterator[str]:
    for group in dict.fromkeys(row.services for row in found):
        title = "Every service" if len(group) == count else " and ".join(group)
        yield f"## {title}\n\n| variable | default | values | meaning |\n| --- | --- | --- | --- |"
        yield from (
            f"| `{row.variable}` | {row.default} | {row.values} | {row.meaning} |"
            for row in found
            if row.services == group
        )
        yield ""


def main(arguments: Sequence[str]) -> int:
    wanted = page(services())
    if "--check" not in arguments:
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") != wanted:
        print("docs/settings.md differs: run make docs")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
