"""What an answer says beside its values: that something may be wrong (warnings), or that it is as well as can be known
(infos). The texts are Prometheus' where it has one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


def _texts() -> dict[str, None]:
    return {}


@dataclass(frozen=True, slots=True)
class Annotations:
    """Each text once, in the order in which they came."""

    warnings: dict[str, None] = field(default_factory=_texts)
    infos: dict[str, None] = field(default_factory=_texts)

    def warn(self, *texts: str) -> None:
        self.warnings.update(dict.fromkeys(f"PromQL warning: {text}" for text in texts))

    def inform(self, *texts: str) -> None:
        self.infos.update(dict.fromkeys(f"PromQL info: {text}" for text in texts))

    def take(self, warnings: Iterable[str], infos: Iterable[str]) -> None:
        """Texts as another has them."""
        self.warnings.update(dict.fromkeys(warnings))
        self.infos.update(dict.fromkeys(infos))
