"""Servers in containers, for `VIGIE_TEST_DOCKER=1`. The images are those of docker-compose.yml."""

from contextlib import ExitStack

from vigie_standalone.embedded.kafka_probe import brokers_registered
from vigie_standalone.embedded.ports import free_port
from vigie_standalone.embedded.servers import Address, Server

from tests.kit.wait import eventually_sync

KAFKA_IMAGE = "apache/kafka:4.3.1"
MONGO_IMAGE = "mongo:8.0.17"
REDIS_IMAGE = "redis:8.2.3"
START_DEADLINE_S = 180.0
DOCKER_VARIABLE = "VIGIE_TEST_DOCKER"


class DockerServers:
    """Start containers on demand; `stop` removes them."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._addresses: dict[Server, Address] = {}

    def address(self, server: Server) -> Address:
        """Where the server is; its container is started at the first call."""
        if server not in self._addresses:
            start = {Server.KAFKA: self._kafka, Server.MONGODB: self._mongodb, Server.REDIS: self._redis}[server]
            self._addresses[server] = start()
        return self._addresses[server]

    def stop(self) -> None:
        """Remove every container."""
        self._stack.close()
        self._addresses = {}

    def _run(self, image: str, ports: dict[int, int], *, command: str = "", env: dict[str, str] | None = None):
        from testcontainers.core.container import DockerContainer

        container = DockerContainer(image)
        for inside, outside in ports.items():
            container = container.with_bind_ports(inside, outside)
        for name, value in (env or {}).items():
            container = container.with_env(name, value)
        if command:
            container = container.with_command(command)
        return self._stack.enter_context(container)

    def _kafka(self) -> Address:
        port = free_port()
        self._run(
            KAFKA_IMAGE,
            {port: port},
            env={
                "KAFKA_NODE_ID": "1",
                "KAFKA_PROCESS_ROLES": "broker,controller",
                "KAFKA_LISTENERS": f"PLAINTEXT://0.0.0.0:{port},CONTROLLER://localhost:9093",
                "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
                "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
                "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
                "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
                "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
                "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
                "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
                "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
                "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
                "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
            },
        )
        eventually_sync(lambda: brokers_registered("127.0.0.1", port), START_DEADLINE_S)
        return Address(f"127.0.0.1:{port}", f"container {KAFKA_IMAGE}")

    def _mongodb(self) -> Address:
        from pymongo import MongoClient
        from pymongo.errors import PyMongoError

        port = free_port()
        self._run(
            MONGO_IMAGE,
            {port: port},
            command=f"mongod --replSet rs0 --bind_ip_all --port {port} --setParameter enableTestCommands=1",
        )
        member = {"_id": "rs0", "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]}
        with MongoClient("127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=2000) as client:
            eventually_sync(lambda: client.admin.command("ping"), START_DEADLINE_S, retry_on=(PyMongoError,))
            client.admin.command("replSetInitiate", member)
            eventually_sync(lambda: client.admin.command("hello").get("isWritablePrimary"), START_DEADLINE_S)
        return Address(f"mongodb://127.0.0.1:{port}/?replicaSet=rs0", f"container {MONGO_IMAGE}")

    def _redis(self) -> Address:
        import redis

        port = free_port()
        self._run(REDIS_IMAGE, {6379: port})
        with redis.Redis(port=port) as client:
            eventually_sync(client.ping, START_DEADLINE_S, retry_on=(redis.RedisError,))
        return Address(f"redis://127.0.0.1:{port}/0", f"container {REDIS_IMAGE}")
