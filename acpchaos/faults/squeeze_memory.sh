# Makes a container run out of memory: its control group's limit is put to what it uses, so that the
# kernel's own OOM killer ends it. Runs in a short-lived pod on the same node, as root without any
# capability; CGROUPS is the node's /sys/fs/cgroup, CONTAINER the id of the container. It touches no
# other control group, and the limit goes with the killed container; one that lives gets it back.
# Version 2 kills when the limit is written. In version 1 somebody has to ask for more: a process of
# this pod joins for a moment and takes more than SPARE bytes, beside what files in memory, which the
# kernel would sooner drop than kill, take now. The kernel does not choose it, since this pod is
# guaranteed its memory and the other one is not (oom_score_adj).
set -eu
root=${CGROUPS:-/cgroups} said=${SAID:-/dev/termination-log} spare=${SPARE:-16777216}
end() { echo "$2" >"$said"; exit "$1"; }
dir=
for each in $(find "$root" -type d -name "*$CONTAINER*" 2>/dev/null); do
    for file in memory.max memory.limit_in_bytes; do
        [ -z "$dir" ] && [ -e "$each/$file" ] && dir=$each limit=$file
    done
done
[ -n "$dir" ] || end 3 "no control group of the container found"
case $limit in
    memory.max) usage=$dir/memory.current counts=$dir/memory.events ;;
    *) usage=$dir/memory.usage_in_bytes counts=$dir/memory.oom_control ;;
esac
kills() { sed -n 's/^oom_kill //p' "$counts" 2>/dev/null || true; }
before=$(kills) old=$(cat "$dir/$limit") now=$(cat "$usage")
give_back() { [ ! -e "$dir/$limit" ] || echo "$old" >"$dir/$limit" 2>/dev/null || true; }
trap give_back EXIT
trap 'exit 1' TERM INT
if [ "$limit" = memory.max ]; then
    echo $((now / 2)) >"$dir/$limit" 2>/dev/null || true
else
    for file in $(sed -n 's/^total_\(in\)\{0,1\}active_file //p' "$dir/memory.stat" 2>/dev/null); do
        now=$((now - file))
    done
    echo $((now + spare)) >"$dir/$limit" || end 4 "its limit could not be lowered"
    sh -c 'echo $$ >"$0/cgroup.procs" && head -c "$1" /dev/zero | tail -n 1 >/dev/null' \
        "$dir" $((spare * 3)) 2>/dev/null || true
fi
tries=0
while [ "$tries" -lt "${TRIES:-50}" ]; do
    after=$(kills)
    [ -n "$after" ] || end 0 "killed: the container is gone"
    [ "$after" = "$before" ] || end 0 "killed: $((after - before)) for want of memory"
    tries=$((tries + 1))
    sleep 0.1
done
end 5 "its limit was lowered from $old to what it uses, and nobody was killed"
