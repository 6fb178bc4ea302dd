"""References to secrets in the file of targets of an operator, so that it can be read by who may not know them:
`${SHOP_TOKEN}` is a variable of the environment, `${file:/run/secrets/shop}` what that file says. `$${` is `${` itself.

Only there: whoever may send targets over HTTP must not be told what this process knows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
from vigie_contracts.problems import shortened
from vigie_contracts.targets import Secrets

from vigie_healthcheck.targets.file import Entry, Finding, InvalidTargetFileError
from vigie_healthcheck.targets.values import TOKEN

FIELDS: Final = frozenset({*(one.encode_name for one in msgspec.structs.fields(Secrets)), TOKEN})
"""Where references are filled in: what is not shown of a target."""
MAX_BYTES: Final = 64 * 1024
"""Of a file that is named; what is secret of a target is not longer."""
_REFERENCE: Final = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FILE: Final = "file:"


class References:
    """Those of one file of targets, and what they were when they were filled in last."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._known: dict[str, str | None] = {}

    def filled(self, entries: Sequence[Entry]) -> list[Entry]:
        """The targets with what is referred to. Blocks. Raises InvalidTargetFileError, which repeats nothing secret."""
        self._known, errors, made = {}, list[Finding](), list[Entry]()
        for entry in entries:
            fields = dict(entry.fields)
            for name, value in entry.fields.items():
                try:
                    fields[name] = self._of(value) if name in FIELDS else _shown(name, value)
                except ValueError as e:
                    errors.append(Finding(entry.lines.get(name, entry.line), f"{name}: {e}"))
            made.append(replace(entry, fields=fields))
        if errors:
            raise InvalidTargetFileError(errors)
        return made

    def changed(self) -> bool:
        """Whether something that was referred to is another one now. Blocks."""
        return any(_value_or_none(name, self._environment) != value for name, value in self._known.items())

    def _of(self, value: Any) -> Any:
        if isinstance(value, str):
            return _REFERENCE.sub(self._one, value)
        if isinstance(value, dict):
            return {name: self._of(one) if isinstance(one, str) else one for name, one in value.items()}
        return value

    def _one(self, found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return "${"
        self._known[name] = None
        value = self._known[name] = _value(name, self._environment)
        return value


def unfilled(entries: Sequence[Entry]) -> list[Finding]:
    """A warning for each reference in a file that somebody sent: it is taken as it stands."""
    how = "is taken as it stands: references are filled in only in the file that VIGIE_TARGETS_FILE names"
    return [
        Finding(entry.lines.get(name, entry.line), f"{name}: {how}")
        for entry in entries
        for name in sorted(FIELDS & entry.fields.keys())
        if any(_REFERENCE.search(text) for text in _texts(entry.fields[name]))
    ]


def _shown(name: str, value: Any) -> Any:
    if name == "url" and any(_REFERENCE.search(text) for text in _texts(value)):
        raise ValueError(f"is shown: references are filled in only in {', '.join(sorted(FIELDS))}")
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (one for one in value.values() if isinstance(one, str))


def _value(name: str, environment: Mapping[str, str]) -> str:
    """Raises ValueError with a sentence."""
    if name.startswith(_FILE):
        return _content(Path(name.removeprefix(_FILE).strip()))
    if not _VARIABLE.fullmatch(name):
        raise ValueError(
            f"${{{shortened(name)}}} is neither a variable, ${{SHOP_TOKEN}}, nor a file, ${{file:/run/secrets/shop}}; "
            "write $${ where ${ itself is meant"
        )
    value = environment.get(name)
    if value is None:
        raise ValueError(f"the environment has no variable {shortened(name)}")
    return value


def _content(path: Path) -> str:
    """Without the end of its last line, as the files of settings."""
    try:
        with path.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        text = content.decode()
    except UnicodeDecodeError:
        raise ValueError(f"the file {shortened(str(path))} is no text in UTF-8") from None
    except (OSError, ValueError) as e:  # a path with NUL is a ValueError
        reason = e.strerror if isinstance(e, OSError) and e.strerror else "it cannot be opened"
        raise ValueError(f"the file {shortened(str(path))} cannot be read: {reason}") from None
    if len(content) > MAX_BYTES:
        raise ValueError(f"the file {shortened(str(path))} is longer than {MAX_BYTES:,} bytes")
    return text.rstrip("\r\n")


def _value_or_none(name: str, environment: Mapping[str, str]) -> str | None:
    try:
        return _value(name, environment)
    except ValueError:
        return None
