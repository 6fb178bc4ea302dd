"""Who serves which path."""

import pytest
from vigie_contracts.paths import Service, service_of


@pytest.mark.parametrize(
    ("method", "path", "service"),
    [
        ("POST", "/api/apps/shop/metrics", Service.INGEST),
        ("GET", "/api/apps/shop/metrics", Service.API),
        ("POST", "/api/apps/shop/metrics/aggregated", Service.API),
        ("POST", "/api/apps/shops/eu/metrics/aggregated", Service.API),
        ("GET", "/api/apps/shop/metrics/aggregated", Service.API),
        ("POST", "/api/metrics/custom", Service.INGEST),
        ("GET", "/socket.io/", Service.PUSH),
    ],
)
def test_who_is_asked(method: str, path: str, service: Service) -> None:
    """Also with a method that nobody takes there: who serves the path says which ones there are."""
    assert service_of(method, path) is service
