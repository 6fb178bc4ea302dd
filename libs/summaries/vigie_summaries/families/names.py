"""Names of metrics and labels as they are exposed: each decided by the series alone, and no two series alike.

A name is as it was sent. Where that alone could be another series too, a label says what tells them apart: always, and
not only when there is another one. See docs/metrics-names.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from vigie_contracts.series import Kind, Labels

from vigie_summaries.families.escaping import Escaping

TYPE_LABEL: Final = "vigie_type"
"""What a series is, where its name does not tell: `gauge`, `counter` (of increments) or `cumulative`."""
NAME_LABEL: Final = "vigie_name"
"""The name as it was sent, where characters of it became underscores."""
LABELS_LABEL: Final = "vigie_labels"
"""The names of labels as they were sent, where characters of them became underscores."""

_METRIC: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
_LABEL: Final = re.compile(r"(?!U__)[a-zA-Z_][a-zA-Z0-9_]*\Z")
"""A label name that is the same in every format. The reversible form begins with U__, and must stay its own."""
_OTHER_IN_METRIC: Final = re.compile(r"[^a-zA-Z0-9_:]")
_OTHER_IN_LABEL: Final = re.compile(r"[^a-zA-Z0-9_]")
_OWN: Final = (TYPE_LABEL, NAME_LABEL, LABELS_LABEL)
_RESERVED: Final = re.compile(rf"(exported_)*({'|'.join(_OWN)})\Z")
_RESERVED_OF_HISTOGRAM: Final = re.compile(rf"(exported_)*({'|'.join((*_OWN, 'le'))})\Z")
_TAKEN: Final = ("_total", "_bucket", "_count", "_sum")
"""How the samples of counters and histograms end."""
_ESCAPED: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


def classic_metric(name: str) -> bool:
    """Whether every Prometheus takes this metric name as it is."""
    return _METRIC.match(name) is not None


def classic_labels(labels: Labels) -> bool:
    """Whether these label names are the same in every format."""
    return all(_LABEL.match(name) for name, _ in labels)


def metric_name(name: str, escaping: Escaping) -> str:
    """The name in a format; with underscores, different names may become one."""
    if escaping is Escaping.VALUES and name.startswith("U__"):
        return reversible(name)
    if classic_metric(name) or escaping is Escaping.UTF8:
        return name
    return reversible(name) if escaping is Escaping.VALUES else _OTHER_IN_METRIC.sub("_", name)


def telling_labels(name: str, kind: Kind, escaping: Escaping) -> list[str]:
    """The labels, `a="b"`, without which a series of this name and kind could be taken for one of another."""
    labels = [f'{TYPE_LABEL}="{kind.name.lower()}"'] if _told_by_label(name, kind) else []
    if escaping is Escaping.UNDERSCORES and not classic_metric(name):
        labels.append(f'{NAME_LABEL}="{name}"')
    return labels


def _told_by_label(name: str, kind: Kind) -> bool:
    match kind:
        case Kind.GAUGE:
            return name.endswith(_TAKEN)
        case Kind.COUNTER:
            return not name.endswith("_total")
        case Kind.CUMULATIVE:
            return True
        case Kind.HISTOGRAM:
            return False


def reversible(name: str) -> str:
    """Prometheus' `values` escaping: different names stay different."""
    parts = ("__" if c == "_" else f"_{ord(c):x}_" if _OTHER_IN_METRIC.match(c) else c for c in name)
    return "U__" + "".join(parts)


def label_text(labels: Labels, kind: Kind, escaping: Escaping) -> str:
    """`a="b",c="d"` without braces: no two label sets of a kind have the same."""
    reserved = _RESERVED_OF_HISTOGRAM if kind is Kind.HISTOGRAM else _RESERVED
    own = [f"exported_{name}" if reserved.match(name) else name for name, _ in labels]
    names = own if classic_labels(labels) else _label_names(own, escaping)
    pairs = [f'{name}="{value.translate(_ESCAPED)}"' for name, (_, value) in zip(names, labels, strict=True)]
    other = [name for name in own if not _LABEL.match(name)]
    if other and escaping is Escaping.UNDERSCORES:
        pairs.append(f'{LABELS_LABEL}="{",".join(other)}"')
    return ",".join(pairs)


def _label_names(names: Sequence[str], escaping: Escaping) -> list[str]:
    if escaping is Escaping.UTF8:
        return [f'"{name}"' if _OTHER_IN_LABEL.search(name) else name for name in names]
    if escaping is Escaping.UNDERSCORES:
        simple = [_OTHER_IN_LABEL.sub("_", name) for name in names]
        if len({*simple, *_OWN, "le"}) == len(simple) + len(_OWN) + 1:
            return simple
    return [name if _LABEL.match(name) else reversible(name) for name in names]
