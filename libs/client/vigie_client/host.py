"""Numbers of this machine and this process, by psutil, under the names that Vigie's summaries know."""

from __future__ import annotations

import logging
import os
import socket
import threading
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from vigie_client.client import Client

FIRST_LOOK_S = 0.2
log = logging.getLogger("vigie_client")


class HostNumbers:
    """CPU, memory, disk, load, network and this process. `collect` is for `Client.add_collector`."""

    def __init__(
        self,
        client: Client,
        *,
        host: str | None = None,
        process: str | None = None,
        disk: str = os.sep,
        beside_agent: bool = False,
    ) -> None:
        """`host`: the label, this machine's name when None. `process`: a label for the numbers of this process, where
        several of one service run on a machine; not its id, which would make new series at every start. `disk`: the
        path whose file system is measured. `beside_agent`: leave out what the agent of this machine reports."""
        self._client = client
        self._host = {"host": host or socket.gethostname()}
        self._process_labels = {**self._host, **({"process": process} if process else {})}
        self._disk = disk
        whole = (self._machine, self._disks, self._operations, self._network, self._own)
        self._parts = (self._operations, self._own) if beside_agent else whole
        self._totals: dict[str, int] = {}
        self._process = psutil.Process()
        self._thread = 0
        self._process.cpu_percent(None)  # the first call only begins the measurement

    def collect(self) -> None:
        """Record all of them. What a platform or a container does not tell is left out."""
        if self._process.pid != os.getpid():  # the child of a fork
            self._process = psutil.Process()
        for part in self._parts:
            try:
                part()
            except (psutil.Error, OSError, NotImplementedError, AttributeError, RuntimeError) as error:
                log.debug("some numbers of this machine cannot be read: %r", error)

    def _machine(self) -> None:
        self._processors()
        memory = psutil.virtual_memory()
        self._gauge("system_memory_usage_percent", memory.percent)
        self._gauge("system_memory_used_bytes", memory.used)
        self._gauge("system_memory_available_bytes", memory.available)
        self._gauge("system_disk_usage_percent", psutil.disk_usage(self._disk).percent)
        for period, value in zip(("1m", "5m", "15m"), psutil.getloadavg(), strict=True):
            self._client.gauge("system_load_average", value, {**self._host, "period": period})

    def _processors(self) -> None:
        # Usage is that between two looks of one thread: the first one in a thread has to wait for its second.
        thread, self._thread = self._thread, threading.get_ident()
        cores = psutil.cpu_percent(None if thread == self._thread else FIRST_LOOK_S, percpu=True)
        self._gauge("system_cpu_usage_percent", round(sum(cores) / len(cores), 1))
        for core, percent in enumerate(cores):
            self._client.gauge("system_cpu_usage_percent", percent, {**self._host, "core": str(core)})

    def _disks(self) -> None:
        if (io := psutil.disk_io_counters()) is not None:
            self._total("system_disk_read_bytes_total", io.read_bytes)
            self._total("system_disk_written_bytes_total", io.write_bytes)

    def _operations(self) -> None:
        if (io := psutil.disk_io_counters()) is not None:
            self._total("system_disk_reads_completed_total", io.read_count)
            self._total("system_disk_writes_completed_total", io.write_count)

    def _network(self) -> None:
        io = psutil.net_io_counters()
        self._total("system_network_received_bytes_total", io.bytes_recv)
        self._total("system_network_sent_bytes_total", io.bytes_sent)

    def _own(self) -> None:
        process = self._process
        with process.oneshot():
            record, labels = self._client.gauge, self._process_labels
            record("process_cpu_usage_percent", process.cpu_percent(None), labels)
            record("process_resident_memory_bytes", process.memory_info().rss, labels)
            record("process_threads", process.num_threads(), labels)
            if hasattr(process, "num_fds"):
                record("process_open_fds", process.num_fds(), labels)

    def _gauge(self, name: str, value: float) -> None:
        self._client.gauge(name, value, self._host)

    def _total(self, name: str, value: int) -> None:
        """A total of the kernel's, as increments since the last look. After a reset it starts again."""
        before = self._totals.get(name, value)
        self._totals[name] = value
        self._client.counter(name, max(0, value - before), self._host)
