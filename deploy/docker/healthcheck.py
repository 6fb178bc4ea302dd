"""Is the service of this container ready? Exit code 0 or 1. The image has no curl, and needs none."""

import http.client
import os
import ssl
import sys

PORT = 8080  # the Dockerfile makes every service listen there


def connect() -> http.client.HTTPConnection:
    if not os.environ.get("VIGIE_TLS_CERT_FILE"):
        return http.client.HTTPConnection("127.0.0.1", PORT, timeout=3)
    unverified = ssl.create_default_context()  # no certificate names a container's loopback
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", PORT, timeout=3, context=unverified)


def main() -> int:
    connection = connect()
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
    except OSError as error:
        print(f"port {PORT}: {error}")
        return 1
    print(f"{answer.status} {answer.read(500).decode(errors='replace')}")
    return 0 if answer.status < 300 else 1


if __name__ == "__main__":
    sys.exit(main())
