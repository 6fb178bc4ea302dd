"""The database and the Kafka that are saved or brought back."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from pydantic import Field, ValidationError
from pydantic_settings import SettingsError
from vigie_aggregator.settings import AggregatorSettings
from vigie_contracts.topics import CHECKS, REPORTS, RULES, SAMPLES, TARGETS, Topic
from vigie_runtime import clients
from vigie_runtime.bus import topics
from vigie_runtime.clients import Database
from vigie_runtime.settings import explain
from vigie_storage.sealing import Sealing, parse_keys

from vigie_standalone.accounts import addresses
from vigie_standalone.backup.manifest import BackupError
from vigie_standalone.embedded.servers import VARIABLES, Address, Server, variables
from vigie_standalone.home import Home

SAVED: tuple[Topic, ...] = (SAMPLES, REPORTS, CHECKS, RULES, TARGETS)
"""Topics whose records are saved, or are made anew of documents."""
FACTS = (REPORTS, CHECKS)
PREFIX = "VIGIE_"


class BackupSettings(AggregatorSettings):
    """Those of the aggregator, which knows how far everything is stored, and the names of the other topics."""

    rules_topic: str = Field(default=RULES.name, min_length=1, max_length=249, description="topic of the rules")
    targets_topic: str = Field(default=TARGETS.name, min_length=1, max_length=249, description="topic of the targets")
    encryption_keys: str = Field(default="", repr=False, description="keys of the secrets in the documents")

    def names(self) -> dict[str, str]:
        """The topics by what they carry."""
        return {topic.word: named.name for topic, named in zip(SAVED, topics.deployed(self, SAVED), strict=True)}

    def group_of(self, topic: Topic) -> str:
        """The consumer group of a topic of facts (`vigie_runtime.bus.events.start`)."""
        return f"{self.consumer_group}-{topic.word}"

    @property
    def encryption_key(self) -> str:
        """The id of the newest key; empty when none is known here."""
        return self.known_keys[0] if self.known_keys else ""

    @property
    def known_keys(self) -> list[str]:
        """The ids of all keys, the newest first. Raises BackupError."""
        try:
            return [Sealing([key]).key_id for key in parse_keys(self.encryption_keys)]
        except ValueError as error:
            raise BackupError(f"VIGIE_ENCRYPTION_KEYS: {error}.") from None


def running(home: Home) -> dict[str, str]:
    """Where the servers of the running `vigie up` are, for all that the environment does not name. Raises
    StandaloneError when neither says it."""
    wanted = addresses(home.directory)
    run = home.running()
    facts = run.servers.get(Server.KAFKA) if run else None
    if facts and wanted.get(VARIABLES[Server.KAFKA]) == facts["url"]:
        kafka = Address(facts["url"], facts["source"], facts.get("password", ""))
        wanted |= variables({Server.KAFKA: kafka})
    return wanted


def settings(known: Mapping[str, str]) -> BackupSettings:
    """From these variables and, for what they do not say, the environment. Raises BackupError."""
    fields = {name.removeprefix(PREFIX).lower(): value for name, value in known.items()}
    try:
        return BackupSettings(**fields)  # pyright: ignore[reportArgumentType] - they are texts
    except ValidationError as error:
        raise BackupError(" ".join(explain(BackupSettings, error))) from None
    except SettingsError as error:
        raise BackupError(str(error)) from None


@asynccontextmanager
async def database(known: BackupSettings) -> AsyncIterator[Database]:
    """The database that the settings name."""
    client = clients.mongo(known)
    try:
        yield clients.database(client, known)
    finally:
        await client.close()
