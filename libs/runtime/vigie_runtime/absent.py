"""Keeps libraries from importing what they would only have for nothing: megabytes in every process."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec


@contextmanager
def absent(*modules: str) -> Generator[None]:
    """Inside, these modules cannot be imported, as if they were not installed; those that are imported already can.

    with absent("rich"):
        import structlog
    """
    hidden = [module for module in modules if module not in sys.modules]
    for module in hidden:
        sys.modules[module] = None  # type: ignore[assignment]  # how Python says that there is none
    try:
        yield
    finally:
        for module in hidden:
            sys.modules.pop(module, None)


def installed(module: str) -> bool:
    """Whether a top-level module can be imported, without doing it."""
    return find_spec(module) is not None
