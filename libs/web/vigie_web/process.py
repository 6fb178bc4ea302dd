"""Start-up of a service process: settings, logs, traces, garbage collection."""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, TypeVar

from vigie_runtime import logging, tracing
from vigie_runtime.settings import Settings, load

S = TypeVar("S", bound=Settings)

_YOUNG_OBJECTS: Final = 20_000


@contextmanager
def process(service: str, settings: type[S]) -> Generator[S]:
    """The settings, logs and traces of this process, under one name; ends the process with 2 if a setting is wrong.

    def main() -> None:
        with process("api", Settings) as settings:
            serve(create_app(settings), settings, settings.api_host, settings.api_port)
    """
    if sys.platform != "win32":
        import uvloop

        uvloop.install()
    loaded = load(settings)
    logging.configure(service, loaded.log_level, loaded.log_format)
    stop_tracing = tracing.configure(service)
    try:
        yield loaded
    finally:
        stop_tracing()


def tune_garbage_collection() -> None:
    """Make garbage collections rare; call it when everything is imported and built.

    Requests and records leave next to no cycles behind, and by default there is a collection per 700 objects, which is
    a dozen requests under way; each full one walks all modules: a pause for everybody."""
    gc.collect()
    gc.freeze()  # what was imported and built lives as long as the process
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
