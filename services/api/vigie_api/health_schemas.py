"""GET /health/live and /health/ready."""

from __future__ import annotations

from typing import Literal

from vigie_api.schemas import Model


class LiveAnswer(Model):
    status: Literal["live"] = "live"


class ReadyAnswer(Model):
    """Ready means that reads work: MongoDB answers, and the first start was made. Without Redis they are slower."""

    status: Literal["ready", "not ready"]
    mongodb: Literal["ok", "away"]
    redis: Literal["ok", "away"]
