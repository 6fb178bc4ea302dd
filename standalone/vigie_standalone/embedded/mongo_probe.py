"""One question to a mongod, without a client library: are you there, and may I write to you?

It is asked again and again while the machine is busy starting, by a process that needs nothing else of a driver.
"""

import socket
import struct

TIMEOUT_S = 2.0
ANSWER_LIMIT = 1 << 20
OP_MSG = 2013
_HEADER = struct.Struct("<iiii")  # length, request id, id of the request that is answered, operation
_PRIMARY = b"\x08isWritablePrimary\x00\x01"
"""A BSON boolean: its type, its name, and that it is true."""


def hello(host: str, port: int) -> bytes | None:
    """The answer to `hello`, which needs no login, as it came; None when none comes."""
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as connection:
            connection.sendall(_question())
            head = _read(connection, _HEADER.size)
            size, _, _, operation = _HEADER.unpack(head)
            answer = _read(connection, min(size, ANSWER_LIMIT) - _HEADER.size)
    except (OSError, ValueError):
        return None
    return answer if operation == OP_MSG else None


def is_primary(answer: bytes | None) -> bool:
    """Whether who answered so accepts writes."""
    return answer is not None and _PRIMARY in answer


def _question() -> bytes:
    fields = b"\x10hello\x00" + struct.pack("<i", 1) + b"\x02$db\x00" + struct.pack("<i", 6) + b"admin\x00"
    document = struct.pack("<i", len(fields) + 5) + fields + b"\x00"
    body = struct.pack("<i", 0) + b"\x00" + document  # no flags; one section of kind 0
    return _HEADER.pack(_HEADER.size + len(body), 1, 0, OP_MSG) + body


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise ConnectionError("mongod closed the connection")
        data += chunk
    return data
