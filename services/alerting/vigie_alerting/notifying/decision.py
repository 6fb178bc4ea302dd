"""The verdicts of this package, which are kept: see `vigie_contracts.decisions`."""

from __future__ import annotations

from vigie_contracts.decisions import Decision, Why

__all__ = ["Decision", "Why"]
