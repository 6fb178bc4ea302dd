"""`vigie import supervision`: what is refused harms nobody, is not forgotten, and stops nothing."""

import gzip
import json
from pathlib import Path

import httpx2
from vigie_standalone.supervision.run import EXIT_REFUSED
from vigie_standalone.supervision.words import SiteIds

from standalone.tests.test_supervision_import import BEGIN, Vigie, run, server, write


def test_people_of_a_refused_site_do_not_get_the_one_that_has_its_name(tmp_path: Path) -> None:
    vigie = Vigie()
    vigie.sites["shop"] = {"id": "shop", "host": "web-2", "account": "shop"}
    sites = [
        {"_id": "5f1", "name": "shop", "account": "shop"}, {"_id": "5f2", "name": "blog", "account": "blog"},
        {"_id": "5f3", "name": "blog", "account": "other"},
    ]  # fmt: skip
    users = [
        {"_id": "1", "username": "bob", "assignedSites": ["5f1"]},
        {"_id": "2", "username": "ada", "assignedSites": ["5f2"]},
    ]
    dump = write(tmp_path / "dump", sites=sites, users=users)
    code, said = run(dump, vigie, site_ids=SiteIds.NAME)
    assert (code, vigie.users["bob"]["sites"], vigie.users["ada"]["sites"]) == (EXIT_REFUSED, [], ["blog"])
    assert said[:3] == [
        "sites.json:1: refused: there is a site already",
        "sites.json:3: refused: another site of the dump is blog here",
        "users.json:1: refused: site: the dump has no site '5f1' that was taken",
    ]
    vigie.sites["blog"]["account"] = "somebody"
    code, said = run(dump, vigie, site_ids=SiteIds.NAME)
    assert "sites.json:2: refused: there is a site already" in said


def test_a_configuration_that_was_set_in_vigie_stays_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    dump, vigie = write(tmp_path / "dump", monitoringconfigs=[{"retentionHours": 48}]), Vigie()
    vigie.config |= {"own": True, "retentionHours": 72}
    code, said = run(dump, vigie)
    assert (code, vigie.config["retentionHours"]) == (0, 72)
    assert "stays (retentionHours); --config puts this one there" in said[0]
    assert run(dump, vigie, config=True)[0] == 0
    assert vigie.config["retentionHours"] == 48


def test_what_was_refused_before_an_import_stopped_is_not_forgotten(tmp_path: Path) -> None:
    dump = write(tmp_path / "dump", serverstats=[server(30 * n) for n in range(150)])
    vigie = Vigie()

    def answer(request: httpx2.Request) -> httpx2.Response:
        said = json.loads(gzip.decompress(request.content))
        done = vigie(request)
        if len(said) == 100:
            error = {"index": 3, "field": "timestamp", "reason": "is too old"}
            vigie.stop_after = len(vigie.requests)
            return httpx2.Response(201, json={"accepted": 99, "rejected": 1, "errors": [error]})
        return done

    assert run(dump, answer, whole=True)[0] == 1
    vigie.stop_after = 10**9
    code, said = run(dump, answer, whole=True)
    assert code == EXIT_REFUSED
    assert said[-2] == "1 lines of statistics were refused before it stopped: that run told them."
    assert not any("is no collection" in one for one in said)
    assert run(dump, vigie, whole=True)[0] == 0


def test_more_than_there_may_be_is_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    dump = write(
        tmp_path / "dump",
        sites=[{"_id": "5f1", "name": "shop", "account": "shop"}],
        serverstats=[server(0), server(30)],
    )
    vigie = Vigie()

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/api/sites":
            problem = {"type": "/problems/limit-reached", "message": "there are 5000 sites already"}
            return httpx2.Response(403, json=problem)
        if len(said := json.loads(gzip.decompress(request.content))) > 1 or said[0]["timestamp"] == round(
            BEGIN.timestamp() * 1000
        ):
            return httpx2.Response(413, json={"message": "is too large"})
        return vigie(request)

    code, said = run(dump, answer, whole=True)
    assert (code, len(vigie.reports)) == (EXIT_REFUSED, 1)
    assert said[:2] == [
        "sites.json:1: refused: there are 5000 sites already", "serverstats.json:1: refused: is too large",
    ]  # fmt: skip
