"""Vigie's own parts as targets: read from the settings, and what has to be done about those that are there."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec.structs import replace
from pydantic import ValidationError
from vigie_contracts.targets import OWN, Secrets, Target
from vigie_healthcheck.settings import HealthcheckSettings
from vigie_healthcheck.targets.own import FAILURES, GROUP, Own, named, plan, servers

from services.healthcheck.tests.certificates import Authority

SERVERS = {
    "kafka_bootstrap_servers": "kafka:9092",
    "mongodb_uri": "mongodb://vigie:p%40ss@mongodb:27017/?replicaSet=rs0&authSource=vigie",
    "redis_url": "redis://vigie:s3cret@redis:6379/0",
}


def settings(**more: Any) -> HealthcheckSettings:
    return HealthcheckSettings(**{**SERVERS, **more})


def of_servers(**more: Any) -> dict[str, Own]:
    return {own.target.name: own for own in servers(settings(**more))}


def test_services_are_named_with_their_urls() -> None:
    api, shop = named("vigie-api=http://api:8080/health/ready, booking/shop=tcp://10.0.0.5:80")
    assert (api.target.name, api.target.kind, api.target.group) == ("vigie-api", "http", GROUP)
    assert (shop.target.name, shop.target.kind, shop.target.group) == ("shop", "tcp", "booking")
    assert (api.target.managed_by, api.target.failure_threshold, api.target.public) == (OWN, FAILURES, False)
    assert api.target.timeout_ms < api.target.interval_ms
    assert named("") == []


@pytest.mark.parametrize(
    "text",
    ["api", "api=", "=http://api", "api=ftp://api", "api=http://", "a=http://x:0", "a=http://[::1", "a=http://x:99999",
     "a=http://x,a=http://y", "a=http://u:secret@x", "=http://u:secret@x"],
)  # fmt: skip
def test_what_is_no_name_with_a_url_stops_the_start_with_a_sentence(text: str) -> None:
    with pytest.raises(ValidationError, match=r"must (be a name of its own|have a URL without a login)") as caught:
        settings(own_targets=text)
    assert "secret@" not in str(caught.value).partition("[type=")[0]


def test_certificate_of_this_machine_need_not_name_it() -> None:
    here = [own.target.verify for own in named("a=https://127.0.0.1:3000,b=https://[::1]:1,c=https://localhost:1")]
    assert here == [False, False, False]
    assert named("d=https://vigie.example.com")[0].target.verify


def test_servers_are_targets_and_their_logins_are_in_no_url() -> None:
    found = of_servers(
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism="PLAIN",
        kafka_sasl_username="vigie",
        kafka_sasl_password="k4fka",
    )
    assert {name: own.target.url for name, own in found.items()} == {
        "vigie-kafka": "kafka://kafka:9092",
        "vigie-mongodb": "mongodb://mongodb:27017/?authSource=vigie",
        "vigie-redis": "redis://redis:6379",
    }
    assert {name: own.secrets for name, own in found.items()} == {
        "vigie-kafka": Secrets(username="vigie", password="k4fka"),
        "vigie-mongodb": Secrets(username="vigie", password="p@ss"),
        "vigie-redis": Secrets(username="vigie", password="s3cret"),
    }
    assert found["vigie-kafka"].target.options == {"saslMechanism": "PLAIN"}
    assert not any(secret in repr(list(found.values())) for secret in ("k4fka", "p@ss", "p%40ss", "s3cret"))


def test_every_address_of_a_server_is_one_target(tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    authority.write_bytes(Authority().certificate.public_bytes(Encoding.PEM))
    found = of_servers(
        kafka_bootstrap_servers="a:9092, b:9092",
        kafka_security_protocol="SSL",
        kafka_ssl_ca_file=str(authority),
        mongodb_uri="mongodb://u:p@m1:1,m2:2/admin?tls=true&tlsCertificateKeyFilePassword=hidden",
        redis_url="rediss://redis:6380",
    )
    assert {name: own.target.url for name, own in found.items()} == {
        "vigie-kafka-1": "kafkas://a:9092",
        "vigie-kafka-2": "kafkas://b:9092",
        "vigie-mongodb-1": "mongodb://m1:1/?tls=true&authSource=admin",
        "vigie-mongodb-2": "mongodb://m2:2/?tls=true&authSource=admin",
        "vigie-redis": "rediss://redis:6380",
    }
    assert found["vigie-kafka-1"].secrets == found["vigie-redis"].secrets == Secrets()
    assert not found["vigie-kafka-1"].target.verify


@pytest.mark.parametrize("trust", ["tlsCAFile=/run/secrets/ca", "tlsInsecure=true"])
def test_mongodb_whose_certificate_only_its_clients_believe_is_not_taken_for_down(trust: str) -> None:
    found = of_servers(mongodb_uri=f"mongodb://u:p@mongo.internal/?tls=true&{trust}")["vigie-mongodb"].target
    assert not found.verify
    assert trust not in found.url
    assert of_servers(mongodb_uri="mongodb://u:p@mongo.internal/?tls=true")["vigie-mongodb"].target.verify


@pytest.mark.parametrize("trust", ["ssl_ca_certs=/run/secrets/ca", "ssl_cert_reqs=none"])
def test_redis_whose_certificate_only_its_clients_believe_is_not_taken_for_down(trust: str) -> None:
    assert not of_servers(redis_url=f"rediss://u:p@redis.internal/0?{trust}")["vigie-redis"].target.verify
    assert of_servers(redis_url="rediss://u:p@redis.internal/0")["vigie-redis"].target.verify


def test_servers_that_have_no_address_of_their_own_are_left_out() -> None:
    found = of_servers(mongodb_uri="mongodb+srv://u:p@cluster.example.com", redis_url="unix:///run/redis.sock")
    assert set(found) == {"vigie-kafka"}


def stored(own: Own, **more: Any) -> tuple[Target, Secrets]:
    return replace(own.target, id=own.target.name, tenant="default", **more), own.secrets


def test_what_is_missing_is_made_what_is_gone_removed_and_the_rest_left_alone() -> None:
    kept, new, gone = named("a=http://a,b=http://b,c=http://c")
    done = plan([stored(kept), stored(gone)], [kept, new])
    assert done.created == [new]
    assert [one.name for one in done.deleted] == ["c"]
    assert (done.changed, done.taken) == ([], [])


def test_url_follows_and_what_people_set_stays() -> None:
    [before] = named("a=http://old:1/x")
    [wanted] = named("a=http://new:2/y")
    present, _ = stored(
        before, interval_ms=60_000, enabled=False, failure_threshold=9, labels={"team": "ops"}, version=4
    )
    [(found, own)] = plan([(present, Secrets())], [wanted]).changed
    assert found == present
    assert own.target == replace(present, url="http://new:2/y")
    assert plan([(own.target, Secrets())], [wanted]).changed == []


@pytest.mark.parametrize("known", [Secrets(username="vigie", password="old"), None])
def test_login_follows_also_when_the_one_before_cannot_be_read(known: Secrets | None) -> None:
    own = of_servers()["vigie-redis"]
    [(_, told)] = plan([(stored(own)[0], known)], [own]).changed
    assert told.secrets.password == "s3cret"


def test_target_of_people_is_theirs_whatever_its_name() -> None:
    [own] = named("a=http://a")
    theirs, secrets = stored(own, managed_by="", url="http://other")
    done = plan([(theirs, secrets)], [own])
    assert (done.created, done.changed, done.deleted, done.taken) == ([], [], [], ["a"])
    assert plan([(theirs, secrets)], []).deleted == []
