"""Lines of the log: JSON objects as those of Vigie's services, or text for people."""

from __future__ import annotations

import json
import logging
import sys
import time

_LEVELS = {"WARNING": "warning", "ERROR": "error", "CRITICAL": "critical", "INFO": "info", "DEBUG": "debug"}


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "timestamp": f"{stamp}.{int(record.msecs):03d}Z",
            "level": _LEVELS.get(record.levelname, "info"),
            "message": record.getMessage(),
            "service": "agent",
            "logger": record.name,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure(form: str) -> None:
    """For the process; on standard output, as systemd and `vigie up` read it."""
    handler = logging.StreamHandler(sys.stdout)
    plain = logging.Formatter("%(levelname)-7s %(message)s")
    handler.setFormatter(_Json() if form == "json" else plain)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in ("httpx2", "httpcore2", "httpx", "websockets", "dbus_fast"):
        logging.getLogger(name).setLevel(logging.WARNING)
