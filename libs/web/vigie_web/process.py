"""Start-up of a service process: settings, logs, traces, garbage collection."""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

from vigie_runtime import logging, tracing
from vigie_runtime.settings import Settings, load

S = TypeVar("S", bound=Settings)

_YOUNG_OBJECTS: Final = 20_000
_DESCRIPTORS: Final = (65_536, 10_240)
"""How many a process may open at the same time: as asked for, and what macOS grants at most."""
_OWN_DESCRIPTORS: Final = 512
"""Those of the process itself: Kafka, the pools of MongoDB and Redis (in `vigie up` those of two services), files, and
connections that are refused."""


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


@contextmanager
def without_garbage_collection() -> Generator[None]:
    """For a start that builds much of what stays: collections would walk all of it again and again, and find nothing.
    None walks it afterwards."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def connections(most: int) -> int:
    """How many connections a port may have open, up to `most`, without using up the descriptors of this process.

    The limit is first raised as far as the system allows: many set it to 1024 for a process that does not ask."""
    if sys.platform == "win32":
        return most
    import resource

    unlimited = resource.RLIM_INFINITY
    for descriptors in _DESCRIPTORS:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = descriptors if hard == unlimited else min(descriptors, hard)
        if soft != unlimited and soft < wanted:
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if soft == unlimited else min(most, soft - min(_OWN_DESCRIPTORS, soft // 2))
