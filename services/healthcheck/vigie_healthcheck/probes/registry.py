"""Every probe, by the name of its kind. A new one is a file and a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vigie_healthcheck.probes.base import Probe
from vigie_healthcheck.probes.dns import dns_
from vigie_healthcheck.probes.grpc import grpc
from vigie_healthcheck.probes.heartbeat import heartbeat
from vigie_healthcheck.probes.http import http
from vigie_healthcheck.probes.icmp import icmp
from vigie_healthcheck.probes.kafka import kafka
from vigie_healthcheck.probes.mongodb import mongodb
from vigie_healthcheck.probes.redis import redis
from vigie_healthcheck.probes.smtp import smtp
from vigie_healthcheck.probes.tcp import tcp
from vigie_healthcheck.probes.tls import tls
from vigie_healthcheck.probes.websocket import websocket

PROBES: Final[Mapping[str, Probe]] = {
    "dns": dns_,
    "grpc": grpc,
    "heartbeat": heartbeat,
    "http": http,
    "icmp": icmp,
    "kafka": kafka,
    "mongodb": mongodb,
    "redis": redis,
    "smtp": smtp,
    "tcp": tcp,
    "tls": tls,
    "websocket": websocket,
}

SCHEMES: Final[Mapping[str, str]] = {
    "dns": "dns", "grpc": "grpc", "grpcs": "grpc", "http": "http", "https": "http", "icmp": "icmp", "kafka": "kafka",
    "kafkas": "kafka", "mongodb": "mongodb", "redis": "redis", "rediss": "redis", "smtp": "smtp", "smtps": "smtp",
    "tcp": "tcp", "tls": "tls", "ws": "websocket", "wss": "websocket",
}  # fmt: skip
"""The kind that asks for URLs of a scheme. The last letter s is TLS from the first byte; `mongodb` says it with
`?tls=true`."""

OPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "dns": frozenset({"recordType", "transport", "rcode"}),
    "grpc": frozenset({"service", "serverName"}),
    "heartbeat": frozenset(),
    "http": frozenset({"serverName"}),
    "icmp": frozenset(),
    "kafka": frozenset({"topic", "saslMechanism", "serverName"}),
    "mongodb": frozenset({"serverName"}),
    "redis": frozenset({"serverName"}),
    "smtp": frozenset({"starttls", "serverName"}),
    "tcp": frozenset({"send"}),
    "tls": frozenset({"serverName"}),
    "websocket": frozenset({"subprotocol", "send", "serverName"}),
}
"""What each knows of `Target.options`."""
