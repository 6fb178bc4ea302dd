"""Structured logs: one JSON object per line on stdout, for our lines and for those of the libraries alike."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Literal

from opentelemetry import trace

from vigie_runtime.absent import absent

with absent("rich"):  # for coloured tracebacks, which JSON has not
    import structlog
    from structlog.typing import Processor, WrappedLogger

Format = Literal["json", "console"]

# Library loggers that say at INFO or ERROR what is routine for us.
_TAMED: Mapping[str, int] = {
    "aiokafka": logging.WARNING,
    "aiokafka.consumer.group_coordinator": logging.WARNING,
    "pymongo": logging.WARNING,
    "opentelemetry": logging.WARNING,
    "uvicorn.access": logging.WARNING,
    "asyncio": logging.WARNING,
    "httpx2": logging.WARNING,
}
_FIRST = ("timestamp", "level", "message", "service", "logger")
_FLOODING = {"aiokafka", "pymongo"}
_FLOOD_MEMORY = 1_000
# Passing states of a Kafka cluster that aiokafka retries by itself but reports as errors.
_PASSING = (
    "GroupCoordinatorNotAvailable",
    "NotCoordinatorForGroup",
    "CoordinatorLoadInProgress",
    "CoordinatorNotAvailable",
)

# Said at every connection, also to the machine itself; `clients` says it where a network is between.
_IN_THE_CLEAR = "Sending username and password in the clear"

_URL_CREDENTIALS = re.compile(
    r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.\-]*://)(?P<credentials>[^\s/@'\"]*(?:@(?=[^\s/'\"]*@)[^\s/@'\"]*)*)@"
)


def configure(service: str, level: str = "info", format: Format = "json") -> None:  # noqa: A002 - what it is called
    """Set up logging for the process; call once, first.

    Fields of a line: timestamp, level, message, service, logger, trace_id and span_id inside a span, and its own.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _milliseconds,
        _constant("service", service),
        _trace_ids,
        structlog.processors.StackInfoRenderer(),
    ]
    rendered: list[Processor] = (
        [
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            _ordered,
            _redacted,
            _json(),
        ]
        if format == "json"
        else [
            _redacted,
            # Plain: the pretty tracebacks show the values of local variables, and those are passwords too.
            structlog.dev.ConsoleRenderer(
                colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    handler.addFilter(_tame)
    handler.addFilter(FloodFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, least in _TAMED.items():
        logging.getLogger(name).setLevel(max(least, root.level))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    logging.captureWarnings(capture=True)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger: `log.info("sentence", field=value)`."""
    return structlog.stdlib.get_logger(name)


def redact(text: str) -> str:
    """`text` with `user:password@` of every URL in it replaced by `***@`."""
    return _URL_CREDENTIALS.sub(r"\g<scheme>***@", text) if "@" in text else text


def _tame(record: logging.LogRecord) -> bool:
    if record.name == "aiokafka.conn" and record.msg == _IN_THE_CLEAR:
        return False
    if record.levelno > logging.WARNING and record.name.startswith("aiokafka"):
        text = record.getMessage()
        if any(name in text for name in _PASSING):
            record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


class FloodFilter(logging.Filter):
    """Lets a library say the same thing `most` times per `period_s`; the next line says how many were left out.

    aiokafka alone writes some 20 lines a second for as long as the brokers are away.
    """

    def __init__(self, most: int = 5, period_s: float = 10.0, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most = most
        self._period_s = period_s
        self._now = now
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        if record.name.partition(".")[0] not in _FLOODING:
            return True
        line = (record.name, str(record.msg))  # the template: its arguments differ each time
        started, count = self._seen.get(line, (self._now(), 0))
        if self._now() - started >= self._period_s:
            if count > self._most:
                record.msg = f"{record.getMessage()} (and {count - self._most} more like it)"
                record.args = ()
            started, count = self._now(), 0
        if len(self._seen) >= _FLOOD_MEMORY:
            self._seen.clear()
        self._seen[line] = started, count + 1
        return count < self._most


def _constant(key: str, value: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault(key, value)
        return event

    return add


def _milliseconds(_logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    stamp = event["timestamp"]  # 2026-11-21T09:30:00.123456Z; without the fraction when it is zero
    seconds, _, fraction = stamp.removesuffix("Z").partition(".")
    event["timestamp"] = f"{seconds}.{fraction[:3]:0<3}Z"
    return event


def _trace_ids(_logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


def _ordered(_logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {**{key: event[key] for key in _FIRST if key in event}, **event}


def _redacted(_logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str) and "://" in value:
            event[key] = redact(value)
    return event


def _json() -> Processor:
    def as_text(value: object) -> str:
        return redact(str(value))

    return structlog.processors.JSONRenderer(default=as_text)
