#!/bin/sh
# Probe of one node. Like the chart: cluster_state counts only until the pod was ready once. After
# that a pod stays Ready while its cluster is down, so readiness proves nothing about the cluster.
set -eu
redis() { timeout 4 redis-cli --tls --cacert /tls/ca.crt "$@" 2>&1; }
if [ "$1" = ready ] && [ ! -e /tmp/was-ready ]; then
    redis CLUSTER INFO | grep -q '^cluster_state:ok'
    touch /tmp/was-ready
fi
answer=$(redis PING)
case "$1:$answer" in
    *:PONG | alive:LOADING* | alive:MASTERDOWN*) exit 0 ;;
    *) echo "$answer"; exit 1 ;;
esac
