"""One question to a Kafka broker, without a client library: how many brokers does your cluster have now?

A broker that accepts connections may still be fenced, and topic creation then answers error 38 (invalid replication
factor). The brokers in a Metadata answer are the registered, unfenced ones.
"""

import socket
import struct

METADATA, METADATA_VERSION = 3, 4
HANDSHAKE, HANDSHAKE_VERSION = 17, 1
AUTHENTICATE, AUTHENTICATE_VERSION = 36, 0
TIMEOUT_S = 2.0
ANSWER_LIMIT = 1 << 20
_CLIENT = "vigie-probe"


def brokers_registered(host: str, port: int, login: tuple[str, str] | None = None) -> int:
    """The number of unfenced brokers that this broker knows; 0 when it does not answer.

    `login`: user and password, proved by SASL PLAIN.
    """
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as connection:
            if login is not None:
                _ask(connection, HANDSHAKE, HANDSHAKE_VERSION, _text("PLAIN"))
                plain = "\0".join(("", *login)).encode()
                _ask(connection, AUTHENTICATE, AUTHENTICATE_VERSION, struct.pack(">i", len(plain)) + plain)
            # No topics, do not create any. Who was not let in is cut off here.
            return parse_broker_count(_ask(connection, METADATA, METADATA_VERSION, struct.pack(">ib", 0, 0)))
    except (OSError, struct.error):
        return 0


def parse_broker_count(answer: bytes) -> int:
    """The length of the broker array: after the correlation id and the throttle time, four bytes each."""
    return struct.unpack_from(">i", answer, 8)[0] if len(answer) >= 12 else 0


def _ask(connection: socket.socket, kind: int, version: int, body: bytes) -> bytes:
    request = struct.pack(">hhi", kind, version, 1) + _text(_CLIENT) + body
    connection.sendall(struct.pack(">i", len(request)) + request)
    (size,) = struct.unpack(">i", _read(connection, 4))
    return _read(connection, min(size, ANSWER_LIMIT))


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise ConnectionError("the broker closed the connection")
        data += chunk
    return data
