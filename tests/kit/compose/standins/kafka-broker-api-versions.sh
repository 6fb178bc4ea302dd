#!/bin/sh
# Stands for Kafka's own: --bootstrap-server HOST:PORT answers, and its broker is registered.
set -eu
[ "$1" = --bootstrap-server ]
cd /opt/kafka && exec python3 -c 'import sys, kafka_probe; host, port = sys.argv[1].split(":"); sys.exit(not kafka_probe.brokers_registered(host, int(port)))' "$2"
