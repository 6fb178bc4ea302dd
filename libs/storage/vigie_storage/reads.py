"""What every reader of MongoDB shares: time limits, and errors that say what a client should do."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from pymongo.errors import ExecutionTimeout, PyMongoError
from vigie_runtime.errors import StoreUnavailable

from vigie_storage import mongo
from vigie_storage.errors import TooSlow

MAX_TIME_MS: Final = 10_000
"""Longest work of the store for one read, milliseconds."""


@contextmanager
def reading() -> Generator[None]:
    """Errors that pass by themselves become StoreUnavailable, an exceeded time limit TooSlow; others are bugs."""
    try:
        yield
    except ExecutionTimeout as e:
        raise TooSlow from e
    except PyMongoError as e:
        if mongo.passing(e):
            raise StoreUnavailable from e
        raise
