"""YAML with line numbers, within bounds: what PyYAML composes, as plain values that know where they stood."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import yaml

MAX_BYTES: Final = 2 * 1024 * 1024
MAX_NODES: Final = 200_000
"""Of what aliases stand for too: a small file may say a lot."""
MAX_DEPTH: Final = 32


_compose: Final[Callable[..., yaml.Node | None]] = yaml.compose  # pyright: ignore


class InvalidYamlError(ValueError):
    """The text is no YAML, or more than is taken."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


class Mapping(dict[str, Any]):
    """A mapping of texts to values, with the line of the whole and of each key."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


class Text(str):
    """A scalar as it is written, with its line; `tag` says what YAML takes it for."""

    line: int
    tag: str


def load(text: str) -> Any:
    """The document: Mapping, list and Text. Raises InvalidYamlError."""
    if len(text) > MAX_BYTES:
        raise InvalidYamlError(f"the file is longer than {MAX_BYTES:,} characters", 1)
    try:
        root = _compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as e:
        line = e.problem_mark.line + 1 if e.problem_mark else 1
        raise InvalidYamlError(f"is no YAML: {e.problem or e.context}", line) from None
    except (yaml.YAMLError, RecursionError) as e:
        reason = "is nested too deeply" if isinstance(e, RecursionError) else f"is no YAML: {e}"
        raise InvalidYamlError(reason.splitlines()[0], 1) from None
    return None if root is None else _Reader().value(root, 0)


class _Reader:
    def __init__(self) -> None:
        self._count = 0

    def value(self, node: yaml.Node, depth: int) -> Any:
        line = node.start_mark.line + 1
        self._count += 1
        if self._count > MAX_NODES or depth > MAX_DEPTH:
            raise InvalidYamlError("has too many parts, or is nested too deeply", line)
        match node:
            case yaml.ScalarNode():
                made = Text(node.value)
                made.line, made.tag = line, node.tag.rpartition(":")[2]
                return made
            case yaml.SequenceNode():
                return [self.value(one, depth + 1) for one in node.value]
            case yaml.MappingNode():
                return self._mapping(node, line, depth)
            case _:
                raise InvalidYamlError("has a kind of node that is not known", line)

    def _mapping(self, node: yaml.MappingNode, line: int, depth: int) -> Mapping:
        made = Mapping(line)
        for key_node, value_node in node.value:
            at = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise InvalidYamlError("a key must be a text", at)
            if key_node.value in made:
                raise InvalidYamlError(f"{key_node.value} is there twice", at)
            made[key_node.value] = self.value(value_node, depth + 1)
            made.lines[key_node.value] = at
        return made
