"""What is said of a site is what its own people may know."""

from vigie_summaries.hosts import site_stats

BODY = {
    "host": "web-1",
    "sites": [{"site": "shop"}, {"site": "shop.eu"}],
    "agent": {
        "unavailable": [
            {"what": "sites.shop.disk", "reason": "3 directories cannot be read"},
            {"what": "sites.shop.eu.disk", "reason": "/var/www/another: Permission denied"},
            {"what": "sites.shop.eu", "reason": "there is no account"},
        ]
    },
}


def test_what_is_missing_of_another_site_is_not_told() -> None:
    assert [one["what"] for one in site_stats(BODY, 0, "shop")["unavailable"]] == ["sites.shop.disk"]
    assert len(site_stats(BODY, 0, "shop.eu")["unavailable"]) == 2
