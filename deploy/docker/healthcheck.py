"""Is the service of this container ready? Exit code 0 or 1. The image has no curl, and needs none."""

import http.client
import sys

PORT = 8080  # the Dockerfile makes every service listen there


def main() -> int:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=3)
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
