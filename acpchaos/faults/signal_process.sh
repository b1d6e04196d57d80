# Sends SIGKILL or SIGSTOP to the first process of a container, from where the kernel lets it.
# BESIDE: in a pod that sees the node's processes, CONTAINER is the id of the other container.
# Without it: in the container itself, whose pod shares its process namespace; never to process 1,
# which the kernel shields from signals of its own namespace (pid_namespaces(7)).
# A stop ends by itself after HOLD_S seconds, at $FLAG or when this is told to end: nobody needs to
# come back for it. What was done stands in $SAID. PROC is /proc, and another folder in tests.
set -eu
proc=${PROC:-/proc} said=${SAID:-/dev/termination-log} flag=${FLAG:-/tmp/thaw} pid=
mine=$(cat "$proc/self/cgroup" 2>/dev/null || true)
for each in $(ls "$proc" | grep -E '^[0-9]+$' | sort -n); do
    group=$(cat "$proc/$each/cgroup" 2>/dev/null || true)
    if [ -n "${CONTAINER:-}" ]; then
        case $group in *"$CONTAINER"*) ;; *) continue ;; esac
        inner=$(sed -n 's/^NSpid:.*[[:space:]]\([0-9]*\)$/\1/p' "$proc/$each/status" 2>/dev/null || true)
        [ "$inner" = 1 ] || continue
    else
        [ "$group" = "$mine" ] && [ "$each" != $$ ] || continue
    fi
    pid=$each
    break
done
[ -n "$pid" ] || { echo "no first process of the container found" >"$said"; exit 3; }
[ "$pid" != 1 ] || { echo "process 1 of its own namespace is shielded" >"$said"; exit 4; }
if [ "$SIGNAL" = KILL ]; then
    kill -KILL "$pid"
    echo "killed $pid" >"$said"
    exit 0
fi
thaw() { kill -CONT "$pid" 2>/dev/null || true; echo "continued $pid" >"$said"; exit 0; }
trap thaw TERM INT HUP
kill -STOP "$pid"
echo "stopped $pid" >"$said"
left=$HOLD_S
while [ "$left" -gt 0 ] && [ ! -e "$flag" ]; do
    sleep 1 &
    wait $! || true
    left=$((left - 1))
done
thaw
