"""One question to a Kafka broker, without a client library: how many brokers does your cluster have now?

A broker that accepts connections may still be fenced, and topic creation then answers error 38 (invalid replication
factor). The brokers in a Metadata answer are the registered, unfenced ones.
"""

import socket
import struct

METADATA, METADATA_VERSION = 3, 4
TIMEOUT_S = 2.0
ANSWER_LIMIT = 1 << 20
_CLIENT = b"vigie-probe"


def brokers_registered(host: str, port: int) -> int:
    """The number of unfenced brokers that this broker knows; 0 when it does not answer."""
    header = struct.pack(">hhih", METADATA, METADATA_VERSION, 1, len(_CLIENT)) + _CLIENT
    request = header + struct.pack(">ib", 0, 0)  # no topics, do not create any
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            (size,) = struct.unpack(">i", _read(connection, 4))
            answer = _read(connection, min(size, ANSWER_LIMIT))
    except (OSError, struct.error):
        return 0
    return parse_broker_count(answer)


def parse_broker_count(answer: bytes) -> int:
    """The length of the broker array: after the correlation id and the throttle time, four bytes each."""
    return struct.unpack_from(">i", answer, 8)[0] if len(answer) >= 12 else 0


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise ConnectionError("the broker closed the connection")
        data += chunk
    return data
