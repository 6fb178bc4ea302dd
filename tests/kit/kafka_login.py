"""How the tests log in at Kafka: all embedded ones of a session have one password, and the environment says it."""

import os
import secrets
from typing import Any

from vigie_standalone.embedded.kafka import login
from vigie_standalone.embedded.servers import VARIABLES, Server

from tests.kit.docker import DOCKER_VARIABLE

# A Kafka that is given, or one in a container, is used without a login unless the environment says more. Clients read
# one environment, so embedded ones beside it do as it does.
_GIVEN = os.environ.get(VARIABLES[Server.KAFKA]) or os.environ.get(DOCKER_VARIABLE) == "1"
PASSWORD = "" if _GIVEN else secrets.token_hex(16)


def variables() -> dict[str, str]:
    """As a service reads them."""
    return {f"VIGIE_{field.upper()}": value for field, value in login(PASSWORD).items()}


def aiokafka_login() -> dict[str, Any]:
    """For a client of a test's own: `AIOKafkaConsumer(bootstrap_servers=kafka, **aiokafka_login())`."""
    if not PASSWORD:
        return {}
    known = login(PASSWORD)
    return {
        "security_protocol": known["kafka_security_protocol"],
        "sasl_mechanism": known["kafka_sasl_mechanism"],
        "sasl_plain_username": known["kafka_sasl_username"],
        "sasl_plain_password": PASSWORD,
    }


def librdkafka_login() -> dict[str, Any]:
    """The same for a client of confluent-kafka."""
    names = {"sasl_plain_username": "sasl.username", "sasl_plain_password": "sasl.password"}
    return {names.get(name, name.replace("_", ".")): value for name, value in aiokafka_login().items()}
