"""Vigie under measurement: fresh servers, real services as processes, and an independent look at what was stored."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from pymongo import MongoClient
from vigie_contracts.alerts import Rule
from vigie_contracts.series import to_unsigned
from vigie_contracts.targets import Target
from vigie_contracts.tiers import FINE, TIERS
from vigie_contracts.topics import RULES, SAMPLES, TARGETS
from vigie_standalone.embedded.ports import free_port
from vigie_standalone.embedded.process import Process
from vigie_standalone.embedded.servers import Server, Servers
from vigie_storage.alerts.configuration import Kind
from vigie_storage.collections import ALERT_CONFIGURATION, windows
from vigie_windows.chunks import decode

from tests.bench.workload import Workload
from tests.kit.kafka_login import PASSWORD, librdkafka_login
from tests.kit.processes import http_ready
from tests.kit.wait import eventually_sync

CATCH_UP_S = 300
DATABASE = "vigie"
PAUSE_LIMIT_MS = 300_000
"""The session time-out: a paused aggregator keeps its partitions for that long."""


class Stack:
    """Servers of one run; ingest and aggregator are started when the run wants them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._servers = Servers(directory / "servers", environment={}, kafka_password=PASSWORD)
        self._processes: dict[str, Process] = {}
        self.url = ""

    def __enter__(self) -> Stack:
        self._servers.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            process.stop()
        self._servers.stop()

    def start_ingest(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._start(
            "ingest",
            "vigie_ingest",
            {"VIGIE_INGEST_PORT": str(port), "VIGIE_ANONYMOUS": "default:write"},
            f"{self.url}/health/ready",
        )

    def start_aggregator(self) -> None:
        port = free_port()
        health = f"http://127.0.0.1:{port}/health/ready"
        env = {"VIGIE_AGGREGATOR_PORT": str(port), "VIGIE_KAFKA_SESSION_TIMEOUT_MS": str(PAUSE_LIMIT_MS)}
        self._start("aggregator", "vigie_aggregator", env, health)

    def start_api(self) -> str:
        """Its URL."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        env = {"VIGIE_API_PORT": str(port), "VIGIE_ANONYMOUS": "default:read"}
        self._start("api", "vigie_api", env, f"{url}/health/ready")
        return url

    def start_alerting(self) -> str:
        """Its URL. Its webhooks may lead to this machine."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        env = {
            "VIGIE_ALERTING_PORT": str(port),
            "VIGIE_ANONYMOUS": "default:read",
            "VIGIE_ALERT_NETWORKS": "127.0.0.0/8",
        }
        self._start("alerting", "vigie_alerting", env, f"{url}/health/ready")
        return url

    def start_push(self) -> str:
        """Its URL."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        self._start(
            "push",
            "vigie_push",
            {"VIGIE_PUSH_PORT": str(port), "VIGIE_ANONYMOUS": "default:read"},
            f"{url}/health/ready",
        )
        return url

    def stop_alerting(self) -> None:
        self._processes["alerting"].stop()

    def start_healthcheck(self) -> str:
        """Its URL. Its targets may be on this machine."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        env = {"VIGIE_HEALTHCHECK_PORT": str(port), "VIGIE_PROBE_NETWORKS": "127.0.0.0/8"}
        self._start("healthcheck", "vigie_healthcheck", env, f"{url}/health/ready")
        return url

    def key(self, scope: str) -> str:
        """A new API key of the default tenant, which ingest has made."""
        options = ["--tenant", "default", "--scope", scope, "--name", "bench"]
        command = [sys.executable, "-m", "vigie_standalone", "key", "create", *options]
        environment = {**os.environ, **self._servers.variables(), "VIGIE_HOME": str(self._directory / "none")}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def put_rules(self, rules: Iterable[Rule]) -> None:
        """On their log, as the service publishes them."""
        self._put(RULES.name, rules)

    def put_targets(self, targets: Iterable[Target]) -> None:
        """On their log, as the service publishes them."""
        self._put(TARGETS.name, targets)

    def put_configuration(self, kind: Kind, values: Mapping[str, msgspec.Struct]) -> None:
        """What the default tenant configured, by name, as the service stores it; while none runs."""
        now = datetime.now(UTC)
        documents = [
            {
                "_id": f"default/{kind}/{name}", "tenant": "default", "kind": kind.value, "name": name, "version": 1,
                "changed": now, "by": "bench", "deleted": False, "data": msgspec.json.encode(value).decode(),
            }
            for name, value in values.items()
        ]  # fmt: skip
        with MongoClient[dict[str, Any]](self.mongo_uri) as client:
            client[DATABASE][ALERT_CONFIGURATION.name].insert_many(documents)

    def _put(self, topic: str, documents: Iterable[Rule | Target]) -> None:
        producer = Producer({"bootstrap.servers": self._servers.addresses[Server.KAFKA].url, **librdkafka_login()})
        for document in documents:
            producer.produce(topic, msgspec.json.encode(document), document.id)
            producer.poll(0)
        producer.flush(60)

    def pause_aggregator(self) -> None:
        """Stop it where it stands, with its partitions, so that a log grows which it then reads at full speed: what
        a start costs (imports, connections) is not measured with it."""
        self._processes["aggregator"].pause()

    def resume_aggregator(self) -> None:
        self._processes["aggregator"].resume()

    def pids(self) -> dict[str, int]:
        """Vigie's processes first, then broker and stores."""
        servers = {"broker": Server.KAFKA, "mongod": Server.MONGODB, "redis": Server.REDIS}
        found = {name: process.pid for name, process in self._processes.items() if process.alive}
        by_kind = zip(servers, self._servers.processes(), strict=True)
        return found | {name: process.pid for name, process in by_kind}

    def wait_counted(self, deadline_s: float = CATCH_UP_S, *, coarse: bool = False) -> None:
        """Until the finest tier, or with `coarse` every tier, is stored up to the ends of the log. AssertionError when
        that takes too long."""
        tiers = TIERS if coarse else (FINE,)
        ends = self._log_ends()
        with MongoClient[dict[str, Any]](self.mongo_uri) as client:
            partitions = client[DATABASE]["partitions"]

            def counted() -> bool:
                stored = {d["_id"]: min(d["next"].get(tier.name, 0) for tier in tiers) for d in partitions.find()}
                return all(stored.get(f"{SAMPLES.name}/{p}", 0) >= end for p, end in ends.items() if end)

            eventually_sync(counted, deadline_s, interval=0.02)

    def stored_sums(self) -> dict[int, tuple[int, float]]:
        """fingerprint -> (count, sum) over all 10 s windows, read straight from MongoDB."""
        with MongoClient[dict[str, Any]](self.mongo_uri) as client:
            database = client[DATABASE]
            placements = {
                (s["tenant"], s["partition"], s["ordinal"]): to_unsigned(s["_id"])
                for s in database["series"].find({}, {"tenant": 1, "partition": 1, "ordinal": 1})
            }
            totals: dict[int, tuple[int, float]] = {}
            for document in database[windows(FINE).name].find():
                at = document["_id"]
                cells = decode(document, 0, at["w"], FINE.width_ms)
                for slot, count, total in zip(
                    cells.slots.tolist(), cells.count.tolist(), cells.sum.tolist(), strict=True
                ):
                    fingerprint = placements[at["t"], at["p"], at["c"] * 256 + slot]
                    before = totals.get(fingerprint, (0, 0.0))
                    totals[fingerprint] = (before[0] + count, before[1] + total)
        return totals

    def exact(self, work: Workload) -> tuple[bool, str]:
        """Whether every EXPECTED series has its count and sum, and nothing else is stored."""
        stored = self.stored_sums()
        wrong = [
            key
            for key, total in zip(work.keys, work.expected_sums.tolist(), strict=True)
            if stored.get(key.fingerprint) != (work.per_series, float(total))
        ]
        count = sum(n for n, _ in stored.values())
        exact = not wrong and len(stored) == work.series and count == work.samples
        return exact, f"{count:,} of {work.samples:,} counted, {len(wrong)} of {work.series:,} series wrong"

    @property
    def mongo_uri(self) -> str:
        """Of its MongoDB."""
        return self._servers.addresses[Server.MONGODB].url

    def _log_ends(self) -> dict[int, int]:
        consumer = Consumer(
            {"bootstrap.servers": self._servers.addresses[Server.KAFKA].url, **librdkafka_login(), "group.id": "bench"}
        )
        try:
            known = consumer.list_topics(SAMPLES.name, timeout=10).topics[SAMPLES.name].partitions
            return {p: consumer.get_watermark_offsets(TopicPartition(SAMPLES.name, p), timeout=10)[1] for p in known}
        finally:
            consumer.close()

    def _start(self, name: str, module: str, env: Mapping[str, str], ready: str) -> None:
        process = Process(
            name,
            [sys.executable, "-m", module],
            log_path=self._directory / f"{name}-{time.time_ns()}.log",
            ready=http_ready(ready),
            # With bytecode, as it is installed: to compile every module anew is a third of a start.
            env={
                **os.environ,
                "PYTHONDONTWRITEBYTECODE": "",
                **self._servers.variables(),
                "VIGIE_LOG_LEVEL": "warning",
                **env,
            },
        )
        self._processes[name] = process
        process.start()
