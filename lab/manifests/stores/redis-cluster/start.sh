#!/bin/sh
# Starts one node of the cluster. The configuration is written to memory at each start: it holds the
# password, and the address of the pod, which a restart may change (Redis then corrects its own line
# in nodes.conf and tells the others).
set -eu
umask 077
cat >/tmp/redis.conf <<CONF
port 0
tls-port 6379
tls-cert-file /tls/tls.crt
tls-key-file /tls/tls.key
tls-ca-cert-file /tls/ca.crt
tls-auth-clients no
tls-replication yes
tls-cluster yes
requirepass ${REDISCLI_AUTH}
masterauth ${REDISCLI_AUTH}
dir /data
appendonly yes
save 900 1 300 10 60 10000
cluster-enabled yes
cluster-config-file nodes.conf
cluster-node-timeout $REDIS_NODE_TIMEOUT_MS
cluster-require-full-coverage yes
cluster-allow-replica-migration no
cluster-announce-ip $POD_IP
cluster-announce-hostname $POD_NAME.redis-cluster-headless.$POD_NAMESPACE.svc.cluster.local
CONF
rm -f /tmp/was-ready
python3 /scripts/form_cluster.py &
exec redis-server /tmp/redis.conf
