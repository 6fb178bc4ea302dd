"""Names of metrics and labels as a format can carry them."""

from __future__ import annotations

import re
from typing import Final

from vigie_contracts.series import Labels

from vigie_api.exposition.negotiation import Escaping

_METRIC: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_OTHER_IN_METRIC: Final = re.compile(r"[^a-zA-Z0-9_:]")
_OTHER_IN_LABEL: Final = re.compile(r"[^a-zA-Z0-9_]")
_ESCAPED: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


def classic_metric(name: str) -> bool:
    """Whether every Prometheus takes this metric name as it is."""
    return _METRIC.match(name) is not None


def classic_labels(labels: Labels) -> bool:
    """Whether every Prometheus takes these label names as they are."""
    return all(_LABEL.match(name) for name, _ in labels)


def underscored(name: str) -> str:
    """Other characters as underscores. Different names may become one."""
    return _OTHER_IN_METRIC.sub("_", name)


def reversible(name: str) -> str:
    """Prometheus' `values` escaping: different names stay different."""
    parts = ("__" if c == "_" else f"_{ord(c):x}_" if _OTHER_IN_METRIC.match(c) else c for c in name)
    return "U__" + "".join(parts)


def label_text(labels: Labels, escaping: Escaping) -> str:
    """`a="b",c="d"` without braces; label names are escaped where the format needs it.

    Underscores that would give one name to two labels of the series give way to the reversible form.
    """
    names = [name for name, _ in labels]
    if not classic_labels(labels):
        names = _label_names(names, escaping)
    return ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, (_, value) in zip(names, labels, strict=True))


def _label_names(names: list[str], escaping: Escaping) -> list[str]:
    classic = [_LABEL.match(name) is not None for name in names]
    if escaping is Escaping.UTF8:
        return [name if is_classic else f'"{name}"' for name, is_classic in zip(names, classic, strict=True)]
    simple = [_OTHER_IN_LABEL.sub("_", name) for name in names]
    if escaping is Escaping.VALUES or len(set(simple)) < len(simple):
        return [name if is_classic else reversible(name) for name, is_classic in zip(names, classic, strict=True)]
    return simple
