"""Send metrics to Vigie.

from vigie_client import Client

with Client("http://localhost:3000", service="booking") as vigie:
    vigie.counter("bookings_total")
"""

from vigie_client.asgi import VigieASGI
from vigie_client.client import AsyncClient, Client
from vigie_client.host import HostNumbers
from vigie_client.tally import Dropped, Stats
from vigie_client.telemetry import TelemetryClient
from vigie_client.values import Labels
from vigie_client.wsgi import VigieWSGI

__all__ = [
    "AsyncClient",
    "Client",
    "Dropped",
    "HostNumbers",
    "Labels",
    "Stats",
    "TelemetryClient",
    "VigieASGI",
    "VigieWSGI",
]
