#!/bin/sh
# Stands for the start script of the image apache/kafka: the mounted properties, then one for each variable KAFKA_*.
set -eu
properties=/opt/kafka/config/server.properties
: >"$properties"
[ ! -e /mnt/shared/config/server.properties ] || cat /mnt/shared/config/server.properties >"$properties"
env | grep -E '^KAFKA_' | grep -v '^KAFKA_HEAP_OPTS=' | while IFS='=' read -r name value; do
    printf '%s=%s\n' "$(printf %s "${name#KAFKA_}" | tr 'A-Z_' 'a-z.')" "$value"
done >>"$properties"
set -- -XX:+UseSerialGC -XX:TieredStopAtLevel=1 --enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow \
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp '/opt/kafka/libs/*'
/opt/java/bin/java "$@" kafka.tools.StorageTool format --ignore-formatted --cluster-id "$CLUSTER_ID" --config "$properties"
exec /opt/java/bin/java ${KAFKA_HEAP_OPTS:-} "$@" kafka.Kafka "$properties"
